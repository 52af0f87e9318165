// Package words writes what was seen for people: in comments, and on screens.
package words

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

const maxShown = 160 // characters of a name from outside, in a comment

// Plain makes anything from outside fit for a comment or a screen: one line,
// nothing that a terminal would obey, and not too long.
func Plain(s string) string {
	n := 0
	s = strings.Map(func(r rune) rune {
		if n++; n > maxShown {
			return -1
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
	if n > maxShown {
		s += "…"
	}
	return s
}

// Printable tells whether a person sees all of s.
func Printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

// day is a time to the minute.
func day(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04") }

// Span is from when to when something was seen, ns since the Unix epoch.
func Span(first, last int64) string {
	if a, b := day(first), day(last); a != b {
		return a + " to " + b + " UTC"
	}
	return day(first) + " UTC"
}

// Plural is "1 flow" or "2 flows".
func Plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Size is a number of bytes in decimal units.
func Size(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1000, 0
	for f >= 999.95 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	return fmt.Sprintf("%.1f %cB", f, units[u])
}

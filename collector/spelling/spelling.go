// Package spelling finds the name that somebody may have meant.
package spelling

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest is the one of names that got may be a misspelling of, or empty when none
// is near: one mistake for every three characters is allowed, whereby two letters
// that changed places are one mistake and capitals are none. "metod" is method,
// "foo" is not "top". Of names that are equally near one that begins with got is taken,
// else the first one. What is longer than a name can be is near to none.
func Nearest(got string, names []string) string {
	const maxLen = 64 // the distance costs the product of the lengths
	if len(got) > maxLen {
		return ""
	}
	got = strings.ToLower(got)
	best, limit := "", max((len(got)+2)/3, 1)
	for _, n := range names {
		d := distance(got, strings.ToLower(n))
		if d < limit || d == limit && (best == "" || begins(n, got) && !begins(best, got)) {
			best, limit = n, d
		}
	}
	return best
}

// DidYouMean is `; did you mean "…"?` with the nearest of names, prefix before it,
// to be put at the end of an error; empty when none is near.
func DidYouMean(got string, names []string, prefix string) string {
	best := Nearest(got, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", prefix+best)
}

func begins(name, got string) bool { return strings.HasPrefix(strings.ToLower(name), got) }

func distance(a, b string) int {
	if swapped(a, b) {
		return 1
	}
	return levenshtein.ComputeDistance(a, b)
}

// swapped tells whether b is a with two neighbours in each other's place.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

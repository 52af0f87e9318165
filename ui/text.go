package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// text is what may be shown. A string variable becomes text through clean
// alone, so the compiler finds every place where a hostile name would reach the
// screen unwashed; constants and what format.go makes of numbers need none.
type text string

// maxText bounds what a single name may cost to draw, in bytes.
const maxText = 512

// clean makes text of a string from outside: control characters (C0, C1, escape
// sequences' introducers), bidi controls and other invisible format characters
// go, invalid UTF-8 becomes U+FFFD, and stacked combining marks are cut.
//
// Tags that tview would read are left to forTview, at the very end: widths are
// measured on the text as a reader sees it.
func clean(s string) text {
	if plainASCII(s[:min(len(s), maxText)]) {
		return text(s[:min(len(s), maxText)])
	}
	s = s[:min(len(s), 4*maxText)]
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
			if marks++; marks > 2 || b.Len() == 0 {
				continue
			}
		case unicode.IsSpace(r) && !unicode.IsControl(r):
			// U+2028 and its like move the cursor on some terminals.
			r, marks = ' ', 0
		case !shown(r):
			continue
		default:
			marks = 0
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			break
		}
		b.WriteRune(r)
	}
	return text(b.String())
}

// shown tells whether a rune has a place on the screen and nothing but that.
func shown(r rune) bool {
	if r == utf8.RuneError {
		return true
	}
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Cf, unicode.Cc, unicode.Co, unicode.Cs, unicode.Variation_Selector)
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// width is the number of screen columns that t takes.
func (t text) width() int {
	if plainASCII(string(t)) {
		return len(t)
	}
	return uniseg.StringWidth(string(t))
}

// head is the longest beginning of t that fits into w columns.
func (t text) head(w int) text {
	if plainASCII(string(t)) {
		return t[:min(len(t), max(w, 0))]
	}
	used, end, state := 0, 0, -1
	for rest := string(t); rest != ""; {
		var cluster string
		var cw int
		cluster, rest, cw, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+cw > w {
			break
		}
		used += cw
		end += len(cluster)
	}
	return t[:end]
}

// tail is the longest end of t that fits into w columns.
func (t text) tail(w int) text {
	if w <= 0 {
		return ""
	}
	for skip := t.width() - w; skip > 0; {
		cut := len(t.head(max(skip, 1)))
		if cut == 0 { // the first cluster is wider than what is to go
			_, rest, _, _ := uniseg.FirstGraphemeClusterInString(string(t), -1)
			cut = len(t) - len(rest)
		}
		t = t[cut:]
		skip = t.width() - w
	}
	return t
}

const ellipsis = "…"

// fit cuts t to w columns, with an ellipsis at its end, or in the middle where
// the end tells things apart (ports, replica numbers).
func (t text) fit(w int, middle bool) text {
	switch {
	case w <= 0:
		return ""
	case t.width() <= w:
		return t
	case w == 1:
		return ellipsis
	case middle && w >= 5:
		end := t.tail((w - 1) / 2)
		return t.head(w-1-end.width()) + ellipsis + end
	}
	return t.head(w-1) + ellipsis
}

// pad fits t into exactly w columns.
func (t text) pad(w int, right bool) text {
	t = t.fit(w, false)
	gap := spaces(w - t.width())
	if right {
		return gap + t
	}
	return t + gap
}

func spaces(n int) text { return text(strings.Repeat(" ", max(n, 0))) }

// join puts a separator between the parts that are not empty.
func join(sep text, parts ...text) text {
	var out text
	for _, p := range parts {
		switch {
		case p == "":
		case out == "":
			out = p
		default:
			out += sep + p
		}
	}
	return out
}

// role is what a piece of text means; the theme decides how it looks. A role
// only underlines what the words say already.
type role uint8

const (
	plain  role = iota
	dim         // zeros, what is over, explanations
	strong      // headings, keys
	good        // healthy
	warn        // worth a look
	bad         // failed, lost
	accent      // where the user is
	chosen      // the selected row or tab
)

// span is text with one role, line a row of them.
type (
	span struct {
		text text
		role role
	}
	line []span
)

func (l line) width() (w int) {
	for _, s := range l {
		w += s.text.width()
	}
	return w
}

// String is the line's text alone.
func (l line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(string(s.text))
	}
	return b.String()
}

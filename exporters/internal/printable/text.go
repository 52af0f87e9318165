// Package printable makes text that came from outside fit to be a label or an attribute.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text makes any bytes a value: at most limit bytes of UTF-8, without control, bidi or
// other invisible characters, each of which becomes a question mark, as does what is not
// UTF-8. It gives s itself, and allocates nothing, where nothing has to change. What is
// clean stays as it is.
func Text(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > max(limit-utf8.UTFMax, 0) && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if plain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// plain tells whether s is what nearly every value is: printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

package l7

import (
	"strings"

	"github.com/seed79351815/weir/collector/l7/operation"
)

// shape is what a path's segment is, as far as it alone can tell.
type shape uint8

const (
	literal shape = iota
	number        // the kernel makes these three one operation
	hexadecimal
	uuid
	email // these are left out of what is shown
	token
	rest    // what follows behind the deepest segment that is kept
	learned // one of many: their number showed it
)

// placeholders are how the shapes are written in a template. A learned segment's
// name is its own.
var placeholders = [...]string{
	number: "{id}", hexadecimal: "{hex}", uuid: "{uuid}", email: "{email}", token: "{token}", rest: "…",
}

const (
	secretHexLen = 32 // as long as that it may be a key
	tokenLen     = 20
	tokenTurns   = 4 // changes between letter and digit: words and dates have fewer
)

// shapeOf classifies a segment without its parameters.
func shapeOf(segment string) shape {
	if s := collapsed(segment); s != literal {
		return s
	}
	switch {
	case strings.IndexByte(segment, '@') > 0, len(segment) > 3 && strings.Contains(segment[1:], "%40"):
		return email
	case opaque(segment):
		return token
	}
	return literal
}

// collapsed is the shape by which the kernel makes paths one operation.
func collapsed(segment string) shape { return collapses[operation.KindOf(segment)] }

var collapses = [...]shape{
	operation.Literal: literal, operation.Number: number, operation.Hexadecimal: hexadecimal, operation.UUID: uuid,
}

// opaque guesses that a segment is a key and no word: a JSON Web Token, or long,
// with letters and digits mixed.
func opaque(segment string) bool {
	if len(segment) < tokenLen {
		return false
	}
	if strings.HasPrefix(segment, "eyJ") && strings.IndexByte(segment, '.') > 0 {
		return true
	}
	turns := 0
	for i := 1; i < len(segment); i++ {
		a, b := segment[i-1], segment[i]
		if digit(a) && letter(b) || letter(a) && digit(b) {
			turns++
		}
	}
	return turns >= tokenTurns
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// plain is a segment without its parameters ("a;jsessionid=…" is "a").
func plain(segment string) string {
	if i := strings.IndexByte(segment, ';'); i >= 0 {
		return segment[:i]
	}
	return segment
}

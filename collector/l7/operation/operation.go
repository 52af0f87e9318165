// Package operation says which paths are one HTTP operation, as the parser in the
// kernel does: bpf/c/parse/http1_path.h has the rules. Tests in bpf/native hold both
// together.
package operation

import "strings"

const (
	keySeed     = 0x8f1bbcdc2545f491
	segmentSeed = 0x27d4eb2f165667c5
	placeholder = 0x6a09e667bb67ae85
	mixFactor   = 0x9e3779b97f4a7c15
	byteFactor  = 0x5bd1e995
)

// Placeholder stands for segments that name one thing among many.
const Placeholder = "*"

// Key is the hash of an operation. Of a method only 8 bytes count; path is as it
// was sent, without its query. A path that is empty is that of CONNECT.
func Key(method, path string) uint64 {
	var word uint64
	for i := range min(len(method), 8) {
		word |= uint64(method[i]) << (8 * i)
	}
	key := mix(keySeed, word)
	if path == "" {
		return key
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		hash := uint64(segmentSeed)
		if OneOfMany(segment) {
			hash = placeholder
		} else {
			for i := range len(segment) {
				hash = (hash ^ uint64(segment[i])) * byteFactor
			}
		}
		key = mix(key, hash)
	}
	return key
}

// Template is path with Placeholder for the segments that do not count: paths of
// one template have one key.
func Template(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if OneOfMany(segment) {
			segments[i] = Placeholder
		}
	}
	return strings.Join(segments, "/")
}

// OneOfMany tells whether a segment of a path names one thing among many.
func OneOfMany(segment string) bool { return KindOf(segment) != Literal }

// Kind is what a segment of a path is.
type Kind uint8

// The kinds of segments; all but Literal are one of many.
const (
	Literal     Kind = iota
	Number           // digits alone
	Hexadecimal      // a hexadecimal number of 8 or more characters of which one is a digit
	UUID
)

// KindOf classifies a segment of a path.
func KindOf(segment string) Kind {
	digits, hex, hyphens := 0, 0, 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			hex++
		case c == '-' && (i == 8 || i == 13 || i == 18 || i == 23):
			hyphens++
		default:
			return Literal
		}
	}
	switch n := len(segment); {
	case n > 0 && digits == n:
		return Number
	case hex == n && n >= 8 && digits > 0:
		return Hexadecimal
	case n == 36 && hyphens == 4:
		return UUID
	}
	return Literal
}

func mix(hash, value uint64) uint64 {
	hash = (hash ^ value) * mixFactor
	return hash ^ hash>>32
}

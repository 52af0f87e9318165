package jsonpb

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// AppendText writes a string. It is not ok where s is not UTF-8. Nearly all are plain,
// and written as they are.
func AppendText(b []byte, s string) (out []byte, ok bool) {
	if plain(s) {
		return append(append(append(b, '"'), s...), '"'), true
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return b, false
		}
		b = appendRune(b, r)
		i += n
	}
	return append(b, '"'), true
}

// plain tells whether a string stands for itself in JSON, on every terminal and in
// HTML, of which encoding/json thinks. It looks at eight letters at a time.
func plain(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if special(s[i]) {
				return false
			}
		}
		return true
	}
	text := unsafe.Slice(unsafe.StringData(s), len(s))
	var odd uint64
	for i := 0; i <= len(text)-8; i += 8 {
		odd |= specials(binary.LittleEndian.Uint64(text[i:]))
	}
	return (odd|specials(binary.LittleEndian.Uint64(text[len(text)-8:])))&(ones<<7) == 0
}

func special(c byte) bool {
	return c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&'
}

// ones is one in each of eight bytes.
const ones = 0x0101010101010101

// specials has a byte's highest bit set where one of the eight is special: there is
// one if and only if any is.
func specials(w uint64) uint64 {
	angle := (w | ones*2) ^ ones*'>' // zero for < and >
	quote := (w | ones*4) ^ ones*'&' // zero for " and &
	slash := w ^ ones*'\\'           // zero for that
	below := w - ones*' '            // borrows below a space
	return w | below | (w + ones) | (angle-ones)&^angle | (quote-ones)&^quote | (slash-ones)&^slash
}

// appendRune writes a character of a string, as an escape unless it is printable.
// JSON itself asks for that below U+0020 only, and there are terminals that obey
// U+009B.
func appendRune(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '<', '>', '&':
		return fmt.Appendf(b, `\u%04x`, r)
	}
	if unicode.IsPrint(r) {
		return utf8.AppendRune(b, r)
	}
	return escape(b, r)
}

func escape(b []byte, r rune) []byte {
	if r > 0xffff {
		hi, lo := utf16.EncodeRune(r)
		return fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
	}
	return fmt.Appendf(b, `\u%04x`, r)
}

// Printable appends JSON with every character that is not printable escaped. Such
// characters stand in strings only, where \u means the same.
func Printable(b, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < 0x7f {
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if n > 1 && unicode.IsPrint(r) {
			b = append(b, text[i:i+n]...)
		} else {
			b = escape(b, r)
		}
		i += n
	}
	return b
}

// appendNumber writes a double. It is not ok where JSON has none like it.
func appendNumber(b []byte, f float64) (out []byte, ok bool) {
	if n := int64(f); float64(n) == f && n > -1<<53 && n < 1<<53 && (n != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(b, n, 10), true
	}
	text, err := json.Marshal(f)
	return append(b, text...), err == nil
}

// appendTime writes a time with 0, 3, 6 or 9 digits of the second. It is not ok
// outside of the years 1 to 9999.
func appendTime(b []byte, seconds int64, nanos int32) (out []byte, ok bool) {
	const first, last = -62135596800, 253402300799
	if seconds < first || seconds > last || nanos < 0 || nanos > 999_999_999 {
		return b, false
	}
	b = append(b, '"')
	begin := len(b)
	b = time.Unix(seconds, int64(nanos)).UTC().AppendFormat(b, time.RFC3339Nano)
	// Its zeros at the end are left out: of a whole second the point too.
	b = b[:len(b)-len("Z")]
	if digits := len(b) - begin - len("2006-01-02T15:04:05."); digits > 0 {
		b = append(b, "00"[:(3-digits%3)%3]...)
	}
	return append(b, 'Z', '"'), true
}

package replay

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// text is a string of any bytes. JSON knows none but UTF-8, so that anything else
// is written as U+0000 and its base64; so is what begins with U+0000 itself.
type text string

const binaryMark = "\x00"

// MarshalText is for encoding/json.
func (t text) MarshalText() ([]byte, error) {
	s := string(t)
	if utf8.ValidString(s) && !strings.HasPrefix(s, binaryMark) {
		return []byte(s), nil
	}
	return append([]byte(binaryMark), base64.StdEncoding.EncodeToString([]byte(s))...), nil
}

// UnmarshalText is for encoding/json.
func (t *text) UnmarshalText(b []byte) error {
	s, binary := strings.CutPrefix(string(b), binaryMark)
	if !binary {
		*t = text(s)
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	*t = text(raw)
	return err
}

// appendText appends t as a JSON string.
func appendText(b []byte, t string) []byte {
	for i := range len(t) {
		if c := t[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text(t)) // cannot fail: MarshalText does not
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, t...)
	return append(b, '"')
}

func texts(in []string) (out []text) {
	for _, s := range in {
		out = append(out, text(s))
	}
	return out
}

func stringsOf(in []text) (out []string) {
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

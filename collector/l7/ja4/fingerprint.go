package ja4

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// none stands where there is nothing to hash.
const none = "000000000000"

const digits = "0123456789abcdef"

// Fingerprint is the JA4 of a TLS client over TCP, like
// "t13d1516h2_8daaf6152771_e5627efa2ab1".
func (h *Hello) Fingerprint() string {
	out := make([]byte, 0, 36)
	text := make([]byte, 0, 512)
	out = append(h.head(out), '_')
	out = append(digest(out, h.ciphers(text)), '_')
	return string(digest(out, h.rest(text)))
}

// Raw is the fingerprint before it is hashed (JA4_r).
func (h *Hello) Raw() string {
	out := append(h.head(nil), '_')
	out = append(h.ciphers(out), '_')
	return string(h.rest(out))
}

// head appends what is not hashed.
func (h *Hello) head(out []byte) []byte {
	out = append(append(out, 't'), version(h.Version)...)
	if h.SNI {
		out = append(out, 'd')
	} else {
		out = append(out, 'i')
	}
	out = count(out, len(h.Ciphers))
	out = count(out, len(h.Extensions))
	return append(out, alpn(h.ALPN)...)
}

func version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

func count(out []byte, n int) []byte {
	n = min(n, 99)
	return append(out, '0'+byte(n/10), '0'+byte(n%10))
}

// alpn is the first and the last character of a protocol's name, of its
// hexadecimal form if one of them is neither letter nor digit.
func alpn(name string) string {
	if name == "" {
		return "00"
	}
	if first, last := name[0], name[len(name)-1]; alphanumeric(first) && alphanumeric(last) {
		return string([]byte{first, last})
	}
	return string([]byte{digits[name[0]>>4], digits[name[len(name)-1]&15]})
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func (h *Hello) ciphers(out []byte) []byte {
	return list(out, slices.Sorted(slices.Values(h.Ciphers)))
}

// rest appends the extensions in order, without those that tell of the server, and
// the signature algorithms as they were sent.
func (h *Hello) rest(out []byte) []byte {
	extensions := slices.DeleteFunc(slices.Sorted(slices.Values(h.Extensions)), func(e uint16) bool {
		return e == extServerName || e == extALPN
	})
	out = list(out, extensions)
	if len(h.Signatures) > 0 {
		out = list(append(out, '_'), h.Signatures)
	}
	return out
}

// list appends values as four digits each.
func list(out []byte, values []uint16) []byte {
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
	}
	return out
}

// digest appends the first twelve digits of the text's SHA-256.
func digest(out, text []byte) []byte {
	if len(text) == 0 {
		return append(out, none...)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(out, sum[:6])
}

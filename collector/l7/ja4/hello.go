// Package ja4 makes the JA4 fingerprint of TLS clients: of what a ClientHello
// offers, in an order that clients cannot shuffle. The method is FoxIO's
// (https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md); JA4 for TLS
// clients alone, which is under the BSD 3-Clause licence, none of the other
// methods of JA4+.
package ja4

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Extensions whose content is part of the fingerprint (IANA, TLS ExtensionType).
const (
	extServerName          = 0
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSupportedVersions   = 43
)

// Hello is what of a ClientHello makes its fingerprint. GREASE (RFC 8701) is left
// out of it.
type Hello struct {
	Version    uint16   // the highest of supported_versions, else the version field
	SNI        bool     // a server's name was sent
	ALPN       string   // the first protocol
	Ciphers    []uint16 // in the order sent, as the next two
	Extensions []uint16
	Signatures []uint16
}

// ErrTruncated says that there are fewer bytes than a length in them announced.
var ErrTruncated = errors.New("ends too early")

// Parse reads a ClientHello, a handshake message with its header (RFC 8446 §4),
// into h. It keeps nothing of message, and reuses h's slices. Every error is of a
// malformed message, and leaves h undefined.
func (h *Hello) Parse(message []byte) error {
	if len(message) < 4 || message[0] != 1 {
		return errors.New("ClientHello: another message")
	}
	size := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
	if size != len(message)-4 {
		return fmt.Errorf("ClientHello: announces %d bytes, has %d", size, len(message)-4)
	}
	r := reader{left: message[4:]}
	h.begin(r.uint16())
	r.take(32) // random
	r.list8()  // session id
	h.Ciphers = values(h.Ciphers, r.list16(), &r)
	if r.list8(); len(r.left) == 0 { // compression methods
		return r.failed("ClientHello")
	}
	extensions := reader{left: r.list16()}
	if r.err == nil && len(r.left) > 0 {
		r.err = errors.New("goes on behind its extensions")
	}
	for len(extensions.left) > 0 && r.err == nil {
		kind, content := extensions.uint16(), extensions.list16()
		r.err = extensions.err
		if r.err == nil {
			r.err = h.extension(kind, content)
		}
	}
	return r.failed("ClientHello")
}

// ParseDigest reads what the TLS parser in the kernel captures of a ClientHello
// (struct tls_capture's raw): version, the list of ciphers behind its length, and
// of each extension type and length, with the content of those alone that Hello
// needs. It keeps nothing of digest, and reuses h's slices.
func (h *Hello) ParseDigest(digest []byte) error {
	r := reader{left: digest}
	h.begin(r.uint16())
	h.Ciphers = values(h.Ciphers, r.list16(), &r)
	for len(r.left) > 0 && r.err == nil {
		var content []byte
		kind, size := r.uint16(), r.uint16()
		switch kind {
		case extSignatureAlgorithms, extALPN, extSupportedVersions:
			content = r.take(int(size))
		}
		if r.err == nil {
			r.err = h.extension(kind, content)
		}
	}
	return r.failed("ClientHello digest")
}

func (h *Hello) begin(version uint16) {
	*h = Hello{Version: version, Ciphers: h.Ciphers[:0], Extensions: h.Extensions[:0], Signatures: h.Signatures[:0]}
}

func (h *Hello) extension(kind uint16, content []byte) error {
	if grease(kind) {
		return nil
	}
	h.Extensions = append(h.Extensions, kind)
	r := reader{left: content}
	switch kind {
	case extServerName:
		h.SNI = true
		return nil
	case extSignatureAlgorithms:
		h.Signatures = values(h.Signatures[:0], r.list16(), &r)
		return r.whole("signature_algorithms")
	case extALPN:
		names := reader{left: r.list16()}
		for i := 0; len(names.left) > 0; i++ {
			name := names.list8()
			if i == 0 {
				h.ALPN = string(name)
			}
		}
		if r.err == nil {
			r.err = names.err
		}
		return r.whole("application_layer_protocol_negotiation")
	case extSupportedVersions:
		h.Version = 0
		versions := reader{left: r.list8()}
		for len(versions.left) > 0 {
			if v := versions.uint16(); !grease(v) {
				h.Version = max(h.Version, v)
			}
		}
		if r.err == nil {
			r.err = versions.err
		}
		return r.whole("supported_versions")
	}
	return nil
}

// values appends a list of 16-bit values, without GREASE.
func values(to []uint16, list []byte, r *reader) []uint16 {
	if len(list)&1 != 0 && r.err == nil {
		r.err = errors.New("has half a value in a list")
	}
	for ; len(list) >= 2; list = list[2:] {
		if v := binary.BigEndian.Uint16(list); !grease(v) {
			to = append(to, v)
		}
	}
	return to
}

// grease says whether a value is reserved to be ignored: RFC 8701 §2.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// reader takes bytes from the front. After an error it gives zeroes.
type reader struct {
	left []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if n > len(r.left) {
		if r.err == nil {
			r.err = ErrTruncated
		}
		r.left = nil
		return nil
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) list16() []byte { return r.take(int(r.uint16())) }

func (r *reader) list8() []byte {
	if b := r.take(1); b != nil {
		return r.take(int(b[0]))
	}
	return nil
}

// whole is the error, also where something was not read.
func (r *reader) whole(what string) error {
	if r.err == nil && len(r.left) > 0 {
		r.err = errors.New("is longer than its list")
	}
	return r.failed(what)
}

func (r *reader) failed(what string) error {
	if r.err != nil {
		return fmt.Errorf("%s: %w", what, r.err)
	}
	return nil
}

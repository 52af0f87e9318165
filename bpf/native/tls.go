package native

import (
	"fmt"
	"strings"
)

// TLSReason is why the TLS parser gave up: enum tls_reason.
type TLSReason uint16

var tlsReasons = [...]string{"record", "order", "interleaved", "size", "short", "version", "session", "ciphers", "compression",
	"extensions", "duplicate", "sni", "alpn list", "versions", "trailing", "second", "alert size", "ccs", "truncated"}

// String is the reason's name.
func (r TLSReason) String() string { return reason(uint16(r)-300, tlsReasons[:]) }

func reason(n uint16, names []string) string {
	if int(n) < len(names) {
		return names[n]
	}
	return "unknown"
}

// Kinds of what TLS tells, hints and known protocols: as in tls.h.
const (
	TLSClientHello = 1
	TLSServerHello = 2
	TLSRetry       = 3
	TLSAlert       = 4
	TLSEncrypted   = 5

	TLSHintPSK     = 1
	TLSHintTicket  = 2
	TLSHintEarly   = 4
	TLSHintECH     = 8
	TLSHintAgain   = 16
	TLSHintResumed = 32

	TLSProtocolH2    = 1
	TLSProtocolHTTP1 = 2
	TLSProtocolDoT   = 4
	TLSProtocolOther = 128
)

// TLSOut is struct tls_out.
type TLSOut struct {
	Flags, Kind                                        uint8
	Reason                                             TLSReason
	Hints, Legacy, Version, Cipher, RawLen             uint16
	NameLen, Protocols, Listed, Level, Alert, Reserved uint8
	Session                                            uint32
	SNI                                                uint64
}

// TLSCapture is struct tls_capture.
type TLSCapture struct {
	NameBytes [136]byte
	ALPNBytes [40]byte
	RawBytes  [1032]byte
}

// TLSTold is struct tls_told: what one step told, At bytes into the stream.
type TLSTold struct {
	At, Reserved uint32
	TLSOut
	TLSCapture
}

// TLSRun is a run of the TLS parser. Its argument is the side: TLSClient or TLSServer.
type TLSRun = Run[[96]byte, TLSOut, TLSCapture, [16]TLSTold]

// Who sends a stream.
const (
	TLSClient = 1
	TLSServer = 2
)

// Trim zeroes what means nothing in a capture.
func (t *TLSTold) Trim() {
	if t.Flags&FlagHead == 0 {
		t.TLSCapture = TLSCapture{}
	}
	clear(t.NameBytes[min(int(t.NameLen), 128):])
	clear(t.ALPNBytes[min(int(t.Listed), 32):])
	clear(t.RawBytes[min(int(t.RawLen), 1024):])
}

// Name is as much of the server's name as was captured.
func (t *TLSTold) Name() string { return string(t.NameBytes[:min(int(t.NameLen), 128)]) }

// Raw is as much as was captured of what a fingerprint needs.
func (t *TLSTold) Raw() []byte { return t.RawBytes[:min(int(t.RawLen), 1024)] }

// ALPN is the protocols that were captured whole.
func (t *TLSTold) ALPN() []string {
	var names []string
	list := t.ALPNBytes[:min(int(t.Listed), 32)]
	for len(list) > 0 && len(list) > int(list[0]) {
		names = append(names, string(list[1:1+list[0]]))
		list = list[1+list[0]:]
	}
	return names
}

var (
	tlsKinds = [...]string{"", "client hello", "server hello", "retry", "alert", "encrypted"}
	tlsHints = [...]string{"psk", "ticket", "early", "ech", "again", "resumed"}
)

// String is one line with all that is valid.
func (t *TLSTold) String() string {
	if t.Flags&FlagError != 0 {
		return fmt.Sprintf("%d: error %d %v", t.At, t.Reason, t.Reason)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %s", t.At, tlsKinds[t.Kind])
	switch t.Kind {
	case TLSAlert:
		fmt.Fprintf(&b, " level=%d description=%d", t.Level, t.Alert)
	case TLSClientHello:
		fmt.Fprintf(&b, " legacy=%04x version=%04x ciphers=%d", t.Legacy, t.Version, t.Cipher)
		if t.NameLen > 0 {
			fmt.Fprintf(&b, " sni=%q hash=%016x", t.Name(), t.SNI)
		}
	case TLSServerHello, TLSRetry:
		fmt.Fprintf(&b, " legacy=%04x version=%04x cipher=%04x", t.Legacy, t.Version, t.Cipher)
	}
	if t.Flags&FlagHead != 0 && t.Kind != TLSAlert {
		if t.Listed > 0 {
			fmt.Fprintf(&b, " alpn=%q/%02x", t.ALPN(), t.Protocols)
		}
		fmt.Fprintf(&b, " session=%08x raw=%d", t.Session, t.RawLen)
	}
	for i, hint := range tlsHints {
		if t.Hints>>i&1 != 0 {
			b.WriteString(" " + hint)
		}
	}
	if t.Flags&FlagSwitch != 0 {
		b.WriteString(" switch")
	}
	return b.String()
}

// TellTLS is a line for each thing that a run told.
func TellTLS(r *TLSRun) []string {
	var told []string
	for i := range r.Told[:min(int(r.Notes), len(r.Told))] {
		told = append(told, r.Told[i].String())
	}
	return told
}

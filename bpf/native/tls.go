package native

// TLSOut is struct tls_out.
type TLSOut struct {
	Flags, Kind                         uint8
	Reason                              uint16
	Hints, Legacy, Version, Cipher, Raw uint16
	Name, ALPN, Listed, Level, Alert, _ uint8
	Session                             uint32
	SNI                                 uint64
}

// TLSCapture is struct tls_capture.
type TLSCapture struct {
	Name [136]byte
	ALPN [40]byte
	Raw  [1032]byte
}

// TLSTold is one note of a TLSRun.
type TLSTold struct {
	At, _   uint32
	Out     TLSOut
	Capture TLSCapture
}

// TLSRun is a run of the TLS parser. Its argument is the side: TLSClient or TLSServer.
type TLSRun = Run[[96]byte, TLSOut, TLSCapture, [16]TLSTold]

// Who sends a stream.
const (
	TLSClient = 1
	TLSServer = 2
)

// Trim takes away from a capture what means nothing.
func (t *TLSTold) Trim() {
	clear(t.Capture.Name[min(int(t.Out.Name), 128):])
	clear(t.Capture.ALPN[min(int(t.Out.Listed), 32):])
	clear(t.Capture.Raw[min(int(t.Out.Raw), 1024):])
}

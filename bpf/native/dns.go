package native

// DNSOut is struct dns_out.
type DNSOut struct {
	Flags, Kind                                              uint8
	Reason                                                   uint16
	ID, Head, Type, Class, Answers, Addresses, Aliases, Name uint16
	TTL                                                      uint32
	Size, Authorities, Additionals, _                        uint16
	Hash                                                     uint64
}

// DNSCapture is struct dns_capture.
type DNSCapture struct {
	Name    [136]byte
	Address [8][16]byte
}

// DNSTold is one note of a DNSRun.
type DNSTold struct {
	At, _   uint32
	Out     DNSOut
	Capture DNSCapture
}

// DNSRun is a run of the DNS parser. Its argument is a datagram's size, or 0 for
// a stream.
type DNSRun = Run[[64]byte, DNSOut, DNSCapture, [64]DNSTold]

// Trim takes away from a capture what means nothing.
func (t *DNSTold) Trim() {
	clear(t.Capture.Name[min(int(t.Out.Name), 128):])
	clear(t.Capture.Address[min(int(t.Out.Addresses), 8):])
}

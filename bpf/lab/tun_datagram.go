package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Datagram sends a UDP datagram over IPv4 from a forged peer to the host's kernel.
// What is answered nobody reads.
func (w *Wire) Datagram(from, to netip.AddrPort, payload []byte) error {
	if !from.Addr().Is4() || !to.Addr().Is4() {
		return fmt.Errorf("datagram from %v to %v: not IPv4", from, to)
	}
	const header, protocolUDP = 28, 17
	b := make([]byte, header, header+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocolUDP
	binary.BigEndian.PutUint16(b[2:], uint16(header+len(payload)))
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(0, b[:20]))
	// The checksum is left out, as IPv4 allows.
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return w.write(append(b, payload...))
}

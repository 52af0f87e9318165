package role

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ping sends Count echo requests through a raw socket, one after the other.
func ping(ctx context.Context, s Spec, ready func(string), acc *account) error {
	target, err := netip.ParseAddr(s.Address)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	network, listen, request, protocol := "ip4:icmp", "0.0.0.0", icmp.Type(ipv4.ICMPTypeEcho), 1
	if target.Is6() {
		network, listen, request, protocol = "ip6:ipv6-icmp", "::", ipv6.ICMPTypeEchoRequest, 58
	}
	pc, err := icmp.ListenPacket(network, listen)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer pc.Close()

	payload := make([]byte, s.Bytes)
	_, _ = pattern{}.Read(payload)
	id := os.Getpid() & 0xffff
	for seq := range s.Count {
		m := icmp.Message{Type: request, Body: &icmp.Echo{ID: id, Seq: seq, Data: payload}}
		wire, err := m.Marshal(nil)
		if err != nil {
			return fmt.Errorf("echo request: %w", err)
		}
		_ = pc.SetDeadline(time.Now().Add(s.Timeout))
		_, err = pc.WriteTo(wire, &net.IPAddr{IP: target.AsSlice(), Zone: target.Zone()})
		if err == nil {
			err = awaitReply(pc, protocol, id, seq)
		}
		conn := Conn{Remote: netip.AddrPortFrom(target, 0), Sent: uint64(s.Bytes)}
		messages := uint64(1)
		if err == nil {
			conn.Received = uint64(s.Bytes)
			messages++
		}
		acc.add(conn, messages, err == nil, err)
	}
	finish(ctx, s, ready, nil)
	return nil
}

// awaitReply reads past what a raw socket hears besides: requests, others'
// replies, neighbour discovery.
func awaitReply(pc *icmp.PacketConn, protocol, id, seq int) error {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			return err
		}
		m, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil {
			continue
		}
		echo, ok := m.Body.(*icmp.Echo)
		if !ok || echo.ID != id || echo.Seq != seq {
			continue
		}
		if m.Type == ipv4.ICMPTypeEchoReply || m.Type == ipv6.ICMPTypeEchoReply {
			return nil
		}
	}
}

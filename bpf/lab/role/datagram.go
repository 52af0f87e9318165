package role

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Datagrams is what the roles DatagramServer and DatagramClient say: the JSON
// file that Spec.Path names.
type Datagrams struct {
	// Client is what a client sends, to Spec.Address, from one socket that is
	// not connected.
	Client []Datagram `json:"client,omitempty"`
	// Server is what a server sends back after each datagram that it receives;
	// to those after the last, nothing.
	Server [][]Datagram `json:"server,omitempty"`
}

// Datagram is one datagram, sent so long after the one before.
type Datagram struct {
	After time.Duration `json:"after,omitempty"`
	Say   []byte        `json:"say"`
}

// WriteDatagrams writes a script where a role will read it.
func WriteDatagrams(path string, d Datagrams) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("datagrams: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("datagrams %s: %w", strconv.Quote(path), err)
	}
	return nil
}

func readDatagrams(path string) (d Datagrams, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, fmt.Errorf("datagrams: %w", err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("datagrams %s: %w", strconv.Quote(path), err)
	}
	return d, nil
}

// datagramServer answers by its script until ctx ends.
func datagramServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	script, err := readDatagrams(s.Path)
	if err != nil {
		return err
	}
	answers := script.Server
	return receiveAll(ctx, s, ready, acc, func(pc net.PacketConn, peer net.Addr, _ []byte, conn *Conn) uint64 {
		if len(answers) == 0 {
			return 0
		}
		next := answers[0]
		answers = answers[1:]
		return say(ctx, pc, peer, next, conn)
	})
}

// datagramClient sends its script, and receives Count datagrams or what comes
// within Timeout after the last. It is ready before the first.
func datagramClient(ctx context.Context, s Spec, ready func(string), acc *account) error {
	script, err := readDatagrams(s.Path)
	if err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp", s.Address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	pc, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer pc.Close()
	conn := Conn{Local: addrPort(pc.LocalAddr()), Remote: to.AddrPort()}
	ready("")
	ctx = context.WithoutCancel(ctx) // it finishes what it was told to do
	messages := say(ctx, pc, to, script.Client, &conn)
	_ = pc.SetReadDeadline(time.Now().Add(s.Timeout))
	buf := make([]byte, 64<<10)
	for range s.Count {
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			break
		}
		conn.Received += uint64(n)
		messages++
	}
	acc.add(conn, messages, true, nil)
	return nil
}

// say sends datagrams in order, and returns how many.
func say(ctx context.Context, pc net.PacketConn, to net.Addr, list []Datagram, conn *Conn) (sent uint64) {
	for _, d := range list {
		if d.After > 0 {
			pause(ctx, d.After)
		}
		if n, err := pc.WriteTo(d.Say, to); err == nil {
			conn.Sent += uint64(n)
			sent++
		}
	}
	return sent
}

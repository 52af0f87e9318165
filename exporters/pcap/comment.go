package pcap

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/seed79351815/weir/collector/flow"
)

// Direction is the way of a packet, seen from its socket.
type Direction uint8

// The directions. A packet that is known by its drop alone has none.
const (
	Unknown Direction = iota
	Ingress
	Egress
)

func (d Direction) String() string {
	switch d {
	case Ingress:
		return "ingress"
	case Egress:
		return "egress"
	}
	return "unknown"
}

// comment is what is said of a packet, as words of key=value, such as
//
//	workload=shop/web process=nginx pid=4242 direction=egress verdict=DROPPED reason=NETFILTER_DROP
//
// so that a display filter finds it: frame.comment contains "verdict=DROPPED".
func comment(p *Packet) string {
	var b strings.Builder
	word := func(key, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(quoted(value))
	}
	word("workload", p.Workload)
	word("process", p.Comm.String())
	if p.PID != 0 {
		word("pid", strconv.FormatUint(uint64(p.PID), 10))
	}
	word("direction", p.Direction.String())
	word("verdict", verdict(p))
	word("reason", p.Drop)
	if len(p.Data) < p.Length {
		word("captured", strconv.Itoa(len(p.Data))+"/"+strconv.Itoa(p.Length))
	}
	return b.String()
}

// verdict is Hubble's word for what became of a packet.
func verdict(p *Packet) string {
	if p.Drop != "" {
		return "DROPPED"
	}
	return "FORWARDED"
}

// maxValue bounds a value; the whole of a comment may have 65,535 bytes.
const maxValue = 256

// quoted is a value that is one word of printable characters: names come from
// outside.
func quoted(s string) string {
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	odd := func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || r == unicode.ReplacementChar || !unicode.IsPrint(r)
	}
	if strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

// Packet is one that is written.
type Packet struct {
	Time      int64  // ns since the Unix epoch
	Workload  string // whose it is; hostile; empty when that is not known
	PID       uint32 // process that opened the socket; 0 when not known
	Comm      flow.Comm
	Direction Direction
	Drop      string // why it was dropped; "" where it was not
	Length    int    // bytes that it has
	Data      []byte // those that are written, from the IP header on
}

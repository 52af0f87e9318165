package convert

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// summary is the text that Hubble's clients print in parentheses, verbatim.
func summary(r *flow.Record) string {
	if r.Judged != nil {
		return judgedSummary(r.Judged)
	}
	if r.Kind == flow.RecordDrop {
		return dropSummary(r)
	}
	var room [160]byte
	b := appendHeader(room[:0], r)
	f := &r.Flow
	switch r.Kind {
	case flow.RecordStart:
		if f.Preexisting {
			b = append(b, "; older than weir"...)
		}
	case flow.RecordUpdate:
		life := time.Duration(r.Time - f.Start)
		b = appendTraffic(appendDuration(append(b, "; up "...), life), f)
		if secs := life.Seconds(); secs > 0 {
			b = append(appendBytes(append(b, ", "...), uint64(float64(f.Sent.Payload+f.Received.Payload)/secs)), "/s"...)
		}
	case flow.RecordEnd:
		b = appendTraffic(appendEnding(append(b, "; "...), f), f)
	}
	return string(b)
}

func dropSummary(r *flow.Record) string {
	reason, n := r.Flow.DropReason, r.Flow.Drops
	if r.Drop != nil {
		reason, n = r.Drop.Reason, r.Drop.Packets
	}
	if reason == "" {
		reason = "dropped, the kernel gave no reason"
	}
	if n == 1 {
		return valid(reason) + ", 1 packet"
	}
	return fmt.Sprintf("%s, %d packets", valid(reason), n)
}

func appendHeader(b []byte, r *flow.Record) []byte {
	f := &r.Flow
	switch f.Protocol {
	case flow.TCP:
		b = append(b, "TCP"...)
		if flag := tcpFlag(r); flag != "" {
			b = append(append(b, " Flags: "...), flag...)
		}
		return b
	case flow.UDP:
		return append(b, "UDP"...)
	case flow.SCTP:
		return append(b, "SCTP"...)
	case flow.ICMP:
		return append(append(b, "ICMPv4 "...), icmpName(f.ICMPType, icmp4Names)...)
	case flow.ICMPv6:
		return append(append(b, "ICMPv6 "...), icmpName(f.ICMPType, icmp6Names)...)
	case flow.IGMP:
		return append(b, "IGMP"...)
	}
	return strconv.AppendUint(append(b, "IP protocol "...), uint64(f.Protocol), 10)
}

func icmp4Names(t uint8) string {
	switch t {
	case 0:
		return "EchoReply"
	case 3:
		return "DestinationUnreachable"
	case 5:
		return "Redirect"
	case 8:
		return "EchoRequest"
	case 11:
		return "TimeExceeded"
	case 13:
		return "TimestampRequest"
	}
	return ""
}

func icmp6Names(t uint8) string {
	switch t {
	case 1:
		return "DestinationUnreachable"
	case 2:
		return "PacketTooBig"
	case 3:
		return "TimeExceeded"
	case 128:
		return "EchoRequest"
	case 129:
		return "EchoReply"
	case 133:
		return "RouterSolicitation"
	case 134:
		return "RouterAdvertisement"
	case 135:
		return "NeighborSolicitation"
	case 136:
		return "NeighborAdvertisement"
	case 143:
		return "MulticastListenerReport"
	}
	return ""
}

func icmpName(t uint8, names func(uint8) string) string {
	if n := names(t); n != "" {
		return n
	}
	return fmt.Sprintf("type %d", t)
}

// appendEnding says how a flow ended and after how long.
func appendEnding(b []byte, f *flow.Flow) []byte {
	what := ""
	if int(f.End) < len(endings) {
		what = endings[f.End]
	}
	if what == "" {
		what = f.End.String()
	}
	b = append(b, what...)
	if f.Ended > f.Start {
		b = appendDuration(append(b, " after "...), time.Duration(f.Ended-f.Start))
	}
	return b
}

var endings = [...]string{
	flow.EndNone: "ended", flow.EndClosed: "closed", flow.EndResetLocal: "reset by client", flow.EndResetRemote: "reset by server",
	flow.EndRefused: "connection refused", flow.EndTimedOut: "timed out", flow.EndUnreachable: "unreachable",
	flow.EndAborted: "given up", flow.EndIdle: "idle", flow.EndLost: "end not seen",
}

// appendTraffic lists what a flow carried, seen from the client.
func appendTraffic(b []byte, f *flow.Flow) []byte {
	if f.Sent.Packets+f.Received.Packets > 0 {
		b = append(appendBytes(append(b, ", "...), f.Sent.Payload), " sent, "...)
		b = append(appendBytes(b, f.Received.Payload), " received"...)
	}
	if f.RTT > 0 {
		b = appendDuration(append(b, ", RTT "...), time.Duration(f.RTT))
	}
	if f.Retransmits == 1 {
		b = append(b, ", 1 retransmit"...)
	} else if f.Retransmits > 1 {
		b = append(strconv.AppendUint(append(b, ", "...), uint64(f.Retransmits), 10), " retransmits"...)
	}
	return b
}

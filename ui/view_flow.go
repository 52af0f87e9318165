package ui

import (
	"strconv"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// newFlowPage shows all that is known of one flow. A flow that has left the
// snapshot stays as it was last seen.
func newFlowPage(m *model, f aggregate.FlowRow) *page {
	gone := false
	p := &page{title: flowTitle(&f)}
	p.refresh = func(s *aggregate.Snapshot) {
		gone = true
		for i := range s.Flows {
			if s.Flows[i].ID == f.ID {
				f, gone = s.Flows[i], false
				p.title = flowTitle(&f)
				break
			}
		}
	}
	p.tabs = []*tab{{name: "Flow", lines: func(width int) []line {
		return flowDetails(&f, gone, m.moment(), width)
	}}}
	return p
}

func flowTitle(f *aggregate.FlowRow) text {
	client := endpointCell(&f.Client, f.Protocol, true)
	server := endpointCell(&f.Server, f.Protocol, false)
	return client.Short.fit(24, true) + " → " + server.Short.fit(30, true)
}

// sheet is a page of labels and values.
type sheet struct{ lines []line }

func (s *sheet) heading(t text) {
	if len(s.lines) > 0 {
		s.lines = append(s.lines, nil)
	}
	s.lines = append(s.lines, line{{t, strong}})
}

// put adds a value, unless there is none.
func (s *sheet) put(label, value text, r role) {
	if value == "" || value == none {
		return
	}
	const labelWidth = 16
	s.lines = append(s.lines, line{{"  ", plain}, {label.pad(labelWidth, false), dim}, {value, r}})
}

// list puts values below each other, the label before the first.
func list[T any](s *sheet, label text, values []T, show func(T) text) {
	for _, v := range values {
		s.put(label, show(v), plain)
		label = ""
	}
}

func flowDetails(f *aggregate.FlowRow, gone bool, now time.Time, width int) []line {
	var s sheet
	s.heading("FLOW")
	s.put("protocol", protocolText(&f.Flow), plain)
	state := stateOf(&f.Flow)
	s.put("state", state.Text, state.Role)
	if gone {
		s.put("", "left the table; this is what was last seen", warn)
	}
	s.put("started", startText(&f.Flow, now), plain)
	s.put("last seen", clock(f.Last, now), plain)
	s.put("ended", clock(f.Ended, now), plain)
	s.put("age", ageCell(&f.Flow, now.UnixNano()).Text, plain)
	s.put("connect latency", latency(f.ConnectLatency), plain)
	s.put("smoothed RTT", latency(f.RTT), plain)
	s.put("retransmits", orNone(uint64(f.Retransmits)), warn)
	if f.Drops > 0 {
		s.put("drops", count(f.Drops)+" packets, last reason "+clean(orUnknown(f.DropReason)), bad)
	}
	s.counters(f)
	var client, server sheet
	client.endpoint("CLIENT", &f.Client, f.Protocol)
	server.endpoint("SERVER", &f.Server, f.Protocol)
	if f.ClientXlated.IsValid() {
		client.put("after NAT", addressPort(f.ClientXlated, f.Protocol), plain)
	}
	if f.ServerXlated.IsValid() {
		server.put("after NAT", addressPort(f.ServerXlated, f.Protocol), plain)
	}
	return s.withEnds(&client, &server, width)
}

// withEnds are the lines with both ends' below them, next to each other where there
// is room, all of them cut to the width.
func (s *sheet) withEnds(client, server *sheet, width int) []line {
	s.lines = append(s.lines, nil)
	if width >= 110 {
		s.lines = append(s.lines, beside(client.lines, server.lines, width)...)
	} else {
		s.lines = append(append(append(s.lines, client.lines...), nil), server.lines...)
	}
	for i, l := range s.lines {
		s.lines[i] = l.fit(width)
	}
	return s.lines
}

// beside puts two columns of lines next to each other.
func beside(left, right []line, width int) []line {
	half := (width - 2) / 2
	out := make([]line, max(len(left), len(right)))
	for i := range out {
		if i < len(left) {
			out[i] = left[i].fit(half)
		}
		if i < len(right) {
			gap := span{spaces(half + 2 - out[i].width()), plain}
			out[i] = append(append(append(line{}, out[i]...), gap), right[i].fit(half)...)
		}
	}
	return out
}

func protocolText(f *flow.Flow) text {
	t := text(f.Protocol.String())
	if f.Protocol == flow.ICMP || f.Protocol == flow.ICMPv6 {
		t += " type " + text(strconv.Itoa(int(f.ICMPType))) + " code " + text(strconv.Itoa(int(f.ICMPCode)))
	}
	return t
}

func startText(f *flow.Flow, now time.Time) text {
	if f.Preexisting {
		return "before weir, which found it at " + clock(f.Start, now)
	}
	return clock(f.Start, now)
}

// endpoint lists all that is known of one end.
func (s *sheet) endpoint(heading text, e *flow.Endpoint, p flow.Protocol) {
	s.heading(heading)
	s.put("address", addressPort(e.Addr, p), plain)
	list(s, "DNS name", e.Names, clean)
	if w := e.Workload; w != nil {
		s.workload(w)
	} else {
		s.put("workload", "none known: no socket of this host, no known address", dim)
	}
	s.put("via", clean(e.Via), plain)
	if !e.Seen {
		s.put("seen", "by the other end only", dim)
		return
	}
	if e.PID != 0 || e.Comm != (flow.Comm{}) {
		s.put("process", join(" ", clean(e.Comm.String()), "pid "+text(strconv.FormatUint(uint64(e.PID), 10))), plain)
	}
	if e.NetNS != 0 {
		s.put("network ns", text(strconv.FormatUint(uint64(e.NetNS), 10)), plain)
	}
	if e.Cookie != 0 {
		s.put("socket cookie", text(strconv.FormatUint(e.Cookie, 10)), plain)
	}
}

func (s *sheet) workload(w *flow.Workload) {
	full, _ := workloadName(w)
	s.put("workload", full, plain)
	s.put("kind", kindCell(w).Text, plain)
	s.put("owner", clean(w.Owner.Name), plain)
	s.put("image", clean(w.Image), plain)
	s.put("container", clean(w.Container), plain)
	s.put("cgroup", clean(w.Cgroup), plain)
	if w.CgroupID != 0 {
		s.put("cgroup id", text(strconv.FormatUint(w.CgroupID, 10)), plain)
	}
}

// counters is the table of both directions: payload is what the programs
// exchanged, wire what the network carried for it.
func (s *sheet) counters(f *aggregate.FlowRow) {
	s.heading("TRAFFIC")
	row := func(r role, cells ...text) {
		l := line{{"  ", plain}, {cells[0].pad(18, false), dim}}
		for _, c := range cells[1:] {
			l = append(l, span{c.pad(12, true), r})
		}
		s.lines = append(s.lines, l)
	}
	row(dim, "", "packets", "payload", "wire", "payload/s", "packets/s")
	row(plain, "client → server", count(f.Sent.Packets), bytes(f.Sent.Payload), bytes(f.Sent.Wire),
		rate(f.SentRate.Payload), perSecond(f.SentRate.Packets))
	row(plain, "server → client", count(f.Received.Packets), bytes(f.Received.Payload), bytes(f.Received.Wire),
		rate(f.ReceivedRate.Payload), perSecond(f.ReceivedRate.Packets))
}

func orNone(n uint64) text {
	if n == 0 {
		return none
	}
	return count(n)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

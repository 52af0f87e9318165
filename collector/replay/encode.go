package replay

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// appendEvent appends an event as a line, without its end.
func appendEvent(b []byte, ev *flow.Event) ([]byte, error) {
	l := line{Kind: ev.Kind, Time: ev.Time, CPU: ev.CPU}
	switch {
	case isSocket(ev.Kind):
		return appendSocket(b, ev), nil
	case ev.Drop != nil:
		d := ev.Drop
		l.Drop = &wireDrop{
			d.NetNS, d.Protocol, addrPortText(d.Source), addrPortText(d.Destination), text(d.Reason), d.Packets, d.Bytes,
		}
	case ev.Cgroup != nil:
		l.Cgroup = &wireCgroup{ev.Cgroup.ID, text(ev.Cgroup.Path)}
	case ev.DNS != nil:
		d := ev.DNS
		l.DNS = &wireDNS{
			d.Cgroup, d.NetNS, addrPortText(d.Resolver), text(d.Name), addrTexts(d.Addrs), texts(d.CNAMEs), d.TTL, d.RCode,
		}
	case ev.Workload != nil:
		l.Workload = encodeWorkload(ev.Workload)
	case ev.Exchange != nil:
		l.Exchange = encodeExchange(ev.Exchange)
	case ev.Tally != nil:
		l.Tally = encodeTally(ev.Tally)
	case ev.Judged != nil:
		l.Judged = encodeJudged(ev.Judged)
	}
	raw, err := json.Marshal(&l)
	return append(b, raw...), err
}

func isSocket(k flow.Kind) bool {
	return k == flow.KindOpen || k == flow.KindUpdate || k == flow.KindClose || k == flow.KindListen
}

// appendSocket writes what wireSocket reads; what is zero is left out.
func appendSocket(b []byte, ev *flow.Event) []byte {
	s := &ev.Socket
	e := encoder{b}
	e.b = append(e.b, `{"k":`...)
	e.b = strconv.AppendUint(e.b, uint64(ev.Kind), 10)
	e.number(`,"t":`, uint64(ev.Time))
	e.number(`,"cpu":`, uint64(ev.CPU))
	e.b = append(e.b, `,"s":{"cookie":`...)
	e.b = strconv.AppendUint(e.b, s.Cookie, 10)
	e.number(`,"cgroup":`, s.Cgroup)
	e.number(`,"netns":`, uint64(s.NetNS))
	e.number(`,"pid":`, uint64(s.PID))
	if s.Comm[0] != 0 {
		e.b = append(e.b, `,"comm":`...)
		e.b = appendText(e.b, s.Comm.String())
	}
	e.number(`,"proto":`, uint64(s.Protocol))
	e.number(`,"role":`, uint64(s.Role))
	e.addr(`,"local":"`, s.Local)
	e.addr(`,"remote":"`, s.Remote)
	e.addr(`,"wire":"`, s.Wire)
	if s.ICMPType != 0 || s.ICMPCode != 0 {
		e.b = append(e.b, `,"icmp":[`...)
		e.b = strconv.AppendUint(e.b, uint64(s.ICMPType), 10)
		e.b = append(e.b, ',')
		e.b = strconv.AppendUint(e.b, uint64(s.ICMPCode), 10)
		e.b = append(e.b, ']')
	}
	if s.ConnID != 0 {
		e.b = append(e.b, `,"conn":"`...)
		e.b = strconv.AppendUint(e.b, s.ConnID, 16)
		e.b = append(e.b, '"')
	}
	e.number(`,"start":`, uint64(s.Start))
	e.number(`,"end":`, uint64(s.End))
	e.flag(`,"old":true`, s.Preexisting)
	e.flag(`,"self":true`, s.Self)
	e.number(`,"latency":`, uint64(s.ConnectLatency))
	e.number(`,"rtt":`, uint64(s.RTT))
	e.number(`,"retrans":`, uint64(s.Retransmits))
	e.counters(`,"sent":[`, &s.Sent)
	e.counters(`,"received":[`, &s.Received)
	return append(e.b, '}', '}')
}

type encoder struct{ b []byte }

func (e *encoder) number(key string, n uint64) {
	if n != 0 {
		e.b = append(e.b, key...)
		e.b = strconv.AppendUint(e.b, n, 10)
	}
}

func (e *encoder) flag(field string, on bool) {
	if on {
		e.b = append(e.b, field...)
	}
}

func (e *encoder) addr(key string, a netip.AddrPort) {
	if a.IsValid() {
		e.b = append(e.b, key...)
		e.b = netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).AppendTo(e.b)
		e.b = append(e.b, '"')
	}
}

func (e *encoder) counters(key string, c *flow.Counters) {
	if *c != (flow.Counters{}) {
		e.b = append(e.b, key...)
		e.b = strconv.AppendUint(e.b, c.Packets, 10)
		e.b = append(e.b, ',')
		e.b = strconv.AppendUint(e.b, c.Payload, 10)
		e.b = append(e.b, ',')
		e.b = strconv.AppendUint(e.b, c.Wire, 10)
		e.b = append(e.b, ']')
	}
}

func encodeWorkload(w *flow.Workload) *wireWorkload {
	x := &wireWorkload{
		CgroupID: w.CgroupID, Cgroup: text(w.Cgroup), Runtime: text(w.Runtime), Container: text(w.Container),
		Name: text(w.Name), Namespace: text(w.Namespace), Image: text(w.Image),
		Owner: [2]text{text(w.Owner.Kind), text(w.Owner.Name)}, Addrs: addrTexts(w.Addrs), PID: w.PID, Pending: w.Pending,
	}
	for _, l := range w.Labels {
		x.Labels = append(x.Labels, [3]text{text(l.Source), text(l.Key), text(l.Value)})
	}
	return x
}

func encodeStats(s *flow.SourceStats) wireStats {
	x := wireStats{Unread: s.Unread, Ring: s.Ring}
	for _, c := range s.PerCPU {
		x.CPUs = append(x.CPUs, [3]uint64{c.Produced, c.Delivered, c.Lost})
	}
	for l, n := range s.Lost {
		x.Lost = append(x.Lost, wireLoss{text(l.Stage), text(l.Reason), n})
	}
	slices.SortFunc(x.Lost, func(a, b wireLoss) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	for _, t := range s.Tables {
		x.Tables = append(x.Tables, wireTable{text(t.Name), t.Entries, t.Max})
	}
	for _, u := range s.Unseen {
		x.Unseen = append(x.Unseen, wireUnseen{u.Protocol, text(u.Reason), u.Stretches, u.Bytes})
	}
	return x
}

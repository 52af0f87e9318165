package replay

import (
	"fmt"
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	maxCPU  = 8192           // the kernel's own bound
	maxTime = int64(1) << 62 // leaves room for adding any wait
)

// fieldError is about a value whose text stands somewhere in its line.
type fieldError struct {
	text string // to point at
	err  error
}

func (e *fieldError) Error() string { return e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

func wrong(where, format string, args ...any) error {
	return &fieldError{where, fmt.Errorf(format, args...)}
}

// event makes the event of a line, which must hold what its kind tells and
// nothing else.
func (l *line) event() (flow.Event, error) {
	ev := flow.Event{Kind: l.Kind, Time: l.Time, CPU: l.CPU}
	if l.Time <= 0 || l.Time >= maxTime {
		return ev, wrong(`"t"`, "time %d: it must be nanoseconds since 1970", l.Time)
	}
	if l.CPU >= maxCPU {
		return ev, wrong(`"cpu"`, "processor %d: there are at most %d", l.CPU, maxCPU)
	}
	if n := l.contents(); n != 1 {
		return ev, wrong("", "event of kind %d: %d contents, it must have one", l.Kind, n)
	}
	var err error
	missing := false
	switch l.Kind {
	case flow.KindOpen, flow.KindUpdate, flow.KindClose, flow.KindListen:
		if missing = l.Socket == nil; !missing {
			err = l.Socket.decode(&ev.Socket)
		}
	case flow.KindDrop:
		if missing = l.Drop == nil; !missing {
			ev.Drop, err = l.Drop.decode()
		}
	case flow.KindCgroupCreated, flow.KindCgroupRemoved:
		if missing = l.Cgroup == nil; !missing {
			ev.Cgroup = &flow.Cgroup{ID: l.Cgroup.ID, Path: string(l.Cgroup.Path)}
		}
	case flow.KindDNS:
		if missing = l.DNS == nil; !missing {
			ev.DNS, err = l.DNS.decode()
		}
	case flow.KindWorkload:
		if missing = l.Workload == nil; !missing {
			ev.Workload, err = l.Workload.decode()
		}
	case flow.KindExchange:
		if missing = l.Exchange == nil; !missing {
			ev.Exchange, err = l.Exchange.decode()
		}
	case flow.KindTally:
		if missing = l.Tally == nil; !missing {
			ev.Tally, err = l.Tally.decode()
		}
	case flow.KindVerdict:
		if missing = l.Judged == nil; !missing {
			ev.Judged, err = l.Judged.decode()
		}
	default:
		return ev, wrong(`"k"`, "event of kind %d: unknown to this weir: read the recording with the weir that made it, or a newer one", l.Kind)
	}
	if missing {
		err = wrong(`"k"`, "event of kind %d: its content is that of another kind", l.Kind)
	}
	return ev, err
}

// contents counts the members of which an event has one.
func (l *line) contents() (n int) {
	for _, has := range [...]bool{
		l.Socket != nil, l.Drop != nil, l.Cgroup != nil, l.DNS != nil, l.Workload != nil, l.Exchange != nil, l.Tally != nil, l.Judged != nil,
	} {
		if has {
			n++
		}
	}
	return n
}

func (w *wireSocket) decode(s *flow.Socket) (err error) {
	if s.Local, err = addrPort(w.Local); err != nil {
		return err
	}
	if s.Remote, err = addrPort(w.Remote); err != nil {
		return err
	}
	if s.Wire, err = addrPort(w.Wire); err != nil {
		return err
	}
	if s.ConnID, err = hexNumber("connection id", w.ConnID); err != nil {
		return err
	}
	if err := checkComm(w.Comm); err != nil {
		return err
	}
	switch {
	case w.Role > flow.RoleServer:
		return wrong(`"role"`, "role %d: unknown", w.Role)
	case w.End > flow.EndLost:
		return wrong(`"end"`, "end %d: unknown", w.End)
	case w.Start < 0 || w.Start >= maxTime:
		return wrong(`"start"`, "start %d: it must be nanoseconds since 1970", w.Start)
	case w.Latency < 0 || w.RTT < 0:
		return wrong("", "latency %d and round trip time %d: they must not be negative", w.Latency, w.RTT)
	}
	s.Cookie, s.Cgroup, s.NetNS, s.PID, s.Comm = w.Cookie, w.Cgroup, w.NetNS, w.PID, flow.MakeComm(string(w.Comm))
	s.Protocol, s.Role, s.ICMPType, s.ICMPCode = w.Protocol, w.Role, w.ICMP[0], w.ICMP[1]
	s.Start, s.End, s.Preexisting, s.Self = w.Start, w.End, w.Preexisting, w.Self
	s.ConnectLatency, s.RTT, s.Retransmits = w.Latency, w.RTT, w.Retransmits
	s.Sent = flow.Counters{Packets: w.Sent[0], Payload: w.Sent[1], Wire: w.Sent[2]}
	s.Received = flow.Counters{Packets: w.Received[0], Payload: w.Received[1], Wire: w.Received[2]}
	return nil
}

func (w *wireDrop) decode() (*flow.Drop, error) {
	d := &flow.Drop{NetNS: w.NetNS, Protocol: w.Protocol, Reason: string(w.Reason), Packets: w.Packets, Bytes: w.Bytes}
	var err error
	if d.Source, err = addrPort(w.Source); err != nil {
		return nil, err
	}
	d.Destination, err = addrPort(w.Destination)
	return d, err
}

func (w *wireDNS) decode() (*flow.DNSAnswer, error) {
	d := &flow.DNSAnswer{
		Cgroup: w.Cgroup, NetNS: w.NetNS, Name: string(w.Name), CNAMEs: stringsOf(w.CNAMEs), TTL: w.TTL, RCode: w.RCode,
	}
	var err error
	if d.Resolver, err = addrPort(w.Resolver); err != nil {
		return nil, err
	}
	d.Addrs, err = addrs(w.Addrs)
	return d, err
}

func (w *wireWorkload) decode() (*flow.Workload, error) {
	if w.Name == "" {
		return nil, wrong(`"workload"`, "workload of cgroup %d: it has no name", w.CgroupID)
	}
	x := &flow.Workload{
		CgroupID: w.CgroupID, Cgroup: string(w.Cgroup), Runtime: flow.Runtime(w.Runtime), Container: string(w.Container),
		Name: string(w.Name), Namespace: string(w.Namespace), Image: string(w.Image),
		Owner: flow.Owner{Kind: string(w.Owner[0]), Name: string(w.Owner[1])}, PID: w.PID, Pending: w.Pending,
	}
	for _, l := range w.Labels {
		x.Labels = append(x.Labels, flow.Label{Source: string(l[0]), Key: string(l[1]), Value: string(l[2])})
	}
	var err error
	x.Addrs, err = addrs(w.Addrs)
	return x, err
}

func (w *wireStats) decode() flow.SourceStats {
	s := flow.SourceStats{Unread: w.Unread, Ring: w.Ring, Lost: map[flow.Loss]uint64{}}
	for _, c := range w.CPUs {
		s.PerCPU = append(s.PerCPU, flow.CPUCounts{Produced: c[0], Delivered: c[1], Lost: c[2]})
	}
	for _, l := range w.Lost {
		s.Lost[flow.Loss{Stage: string(l.Stage), Reason: string(l.Reason)}] += l.Count
	}
	for _, t := range w.Tables {
		s.Tables = append(s.Tables, flow.TableFill{Name: string(t.Name), Entries: t.Entries, Max: t.Max})
	}
	for _, u := range w.Unseen {
		s.Unseen = append(s.Unseen, flow.Unseen{Protocol: u.Protocol, Reason: string(u.Reason), Stretches: u.Stretches, Bytes: u.Bytes})
	}
	return s
}

// addrPort is the zero value for an empty text.
func addrPort(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Addr().Zone() != "" {
		return netip.AddrPort{}, wrong(s, "address %q: it must be like 10.0.0.1:80 or [fd00::1]:80, without a zone", s)
	}
	return a, nil
}

func addrs(in []string) (out []netip.Addr, err error) {
	for _, s := range in {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, wrong(s, "address %q: it must be like 10.0.0.1 or fd00::1, without a zone", s)
		}
		out = append(out, a)
	}
	return out, nil
}

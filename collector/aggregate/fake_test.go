package aggregate

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// fakeIdentity knows what a test tells it.
type fakeIdentity struct {
	byCgroup   map[uint64]*flow.Workload
	byAddr     map[netip.Addr]*flow.Workload
	names      map[netip.Addr][]string
	proxies    map[uint32]netip.AddrPort
	nat        map[netip.AddrPort]netip.AddrPort
	generation uint64
	observed   []flow.Kind
}

func newFake() *fakeIdentity {
	return &fakeIdentity{
		byCgroup: map[uint64]*flow.Workload{}, byAddr: map[netip.Addr]*flow.Workload{}, names: map[netip.Addr][]string{},
		proxies: map[uint32]netip.AddrPort{}, nat: map[netip.AddrPort]netip.AddrPort{},
	}
}

func (f *fakeIdentity) Observe(ev *flow.Event) { f.observed = append(f.observed, ev.Kind) }

func (f *fakeIdentity) Workload(cgroup uint64) *flow.Workload {
	if w := f.byCgroup[cgroup]; w != nil {
		return w
	}
	w := &flow.Workload{CgroupID: cgroup, Name: fmt.Sprint("cg", cgroup), Runtime: flow.RuntimeCgroup}
	f.byCgroup[cgroup] = w
	return w
}

func (f *fakeIdentity) ByAddr(a netip.Addr) *flow.Workload         { return f.byAddr[a] }
func (f *fakeIdentity) Names(cgroup uint64, a netip.Addr) []string { return f.names[a] }
func (f *fakeIdentity) Generation() uint64                         { return f.generation }
func (f *fakeIdentity) Proxied(pid uint32) (a netip.AddrPort, ok bool) {
	a, ok = f.proxies[pid]
	return a, ok
}

func (f *fakeIdentity) Translated(_ flow.Protocol, _, server netip.AddrPort) (a netip.AddrPort, ok bool) {
	a, ok = f.nat[server]
	return a, ok
}

// know makes a container that owns an address.
func (f *fakeIdentity) know(cgroup uint64, name, address string) *flow.Workload {
	w := &flow.Workload{CgroupID: cgroup, Name: name, Container: name + "-id", Runtime: flow.RuntimeDocker}
	f.byCgroup[cgroup] = w
	if address != "" {
		f.byAddr[netip.MustParseAddr(address)] = w
	}
	return w
}

// rig is a table with a fake identity; records gather in got. Times are
// milliseconds since base.
type rig struct {
	*testing.T
	id    *fakeIdentity
	table *Table
	got   []flow.Record
}

const base = int64(1_700_000_000_000_000_000)

func at(ms int) int64 { return base + int64(ms)*int64(time.Millisecond) }

func newRig(t *testing.T, max int) *rig {
	r := &rig{T: t, id: newFake()}
	r.table = NewTable(Config{MaxFlows: max}, r.id)
	r.table.EmitTo(func(full []flow.Record) []flow.Record {
		r.got = append(r.got, full...)
		return make([]flow.Record, 0, 8)
	})
	return r
}

func (r *rig) apply(evs ...flow.Event) {
	r.table.Apply(evs)
	r.table.Flush()
}

func (r *rig) tick(ms int) { r.table.Tick(at(ms)) }

// run ticks as a collector would, until ms.
func (r *rig) run(ms int) {
	for now := r.table.now + int64(50*time.Millisecond); now <= at(ms); now += int64(50 * time.Millisecond) {
		r.table.Tick(now)
	}
	r.tick(ms)
}

// take gives the records since the last call.
func (r *rig) take() []flow.Record {
	got := r.got
	r.got = nil
	return got
}

// kinds takes the records and wants them to be of these kinds.
func (r *rig) kinds(want ...flow.RecordKind) []flow.Record {
	r.Helper()
	got := r.take()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && got[i].Kind == want[i]
	}
	if !ok {
		var kinds []flow.RecordKind
		for i := range got {
			kinds = append(kinds, got[i].Kind)
		}
		r.Fatalf("records of kinds %v, want %v", kinds, want)
	}
	return got
}

const (
	start   = flow.RecordStart
	update  = flow.RecordUpdate
	ending  = flow.RecordEnd
	dropped = flow.RecordDrop
)

// sock is one socket's report, built up by the methods below.
type sock flow.Event

func tcp(role flow.Role, cookie uint64, local, remote string) sock {
	return newSock(flow.TCP, role, cookie, local, remote)
}

func udp(role flow.Role, cookie uint64, local, remote string) sock {
	return newSock(flow.UDP, role, cookie, local, remote)
}

func newSock(p flow.Protocol, role flow.Role, cookie uint64, local, remote string) sock {
	return sock{Socket: flow.Socket{
		Cookie: cookie, Cgroup: 100 + cookie, NetNS: uint32(cookie), PID: uint32(1000 + cookie), Protocol: p, Role: role,
		Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), Start: at(0),
	}}
}

func (s sock) event(k flow.Kind, ms int) flow.Event {
	s.Kind, s.Time = k, at(ms)
	return flow.Event(s)
}

func (s sock) open(ms int) flow.Event   { s.Socket.Start = at(ms); return s.event(flow.KindOpen, ms) }
func (s sock) update(ms int) flow.Event { return s.event(flow.KindUpdate, ms) }
func (s sock) close(ms int, how flow.End) flow.Event {
	s.Socket.End = how
	return s.event(flow.KindClose, ms)
}

func (s sock) conn(id uint64) sock   { s.Socket.ConnID = id; return s }
func (s sock) cgroup(id uint64) sock { s.Socket.Cgroup = id; return s }
func (s sock) netns(id uint32) sock  { s.Socket.NetNS = id; return s }
func (s sock) older() sock           { s.Socket.Preexisting = true; return s }
func (s sock) bytes(sent, received uint64) sock {
	s.Socket.Sent = flow.Counters{Packets: sent / 100, Payload: sent, Wire: sent + sent/10}
	s.Socket.Received = flow.Counters{Packets: received / 100, Payload: received, Wire: received + received/10}
	return s
}

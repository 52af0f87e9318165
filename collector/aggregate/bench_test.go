package aggregate

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// benchTable is a table whose records go nowhere.
func benchTable(max int) *Table {
	t := NewTable(Config{MaxFlows: max}, newFake())
	room := make([]flow.Record, 0, 128)
	t.EmitTo(func([]flow.Record) []flow.Record { return room[:0] })
	return t
}

// benchSocket is one end of the i-th of many flows between containers.
func benchSocket(i int, role flow.Role) flow.Socket {
	c := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 22), 2}), uint16(1024+i%60000))
	s := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i / 60000), 3}), 80)
	x := flow.Socket{
		Cookie: uint64(2*i + 1), Cgroup: 5, NetNS: 1, PID: 100, Protocol: flow.TCP, Role: role, Local: c, Remote: s,
		ConnID: uint64(i) + 1, Start: base, RTT: 1000,
	}
	if role == flow.RoleServer {
		x.Cookie, x.Cgroup, x.NetNS, x.Local, x.Remote = x.Cookie+1, 6, 2, s, c
	}
	return x
}

// BenchmarkTableUpdates is the steady state: 50,000 flows with both ends on this
// host, all of which changed. An operation is one event.
func BenchmarkTableUpdates(b *testing.B) {
	const flows, batch = 50_000, 256
	t := benchTable(0)
	evs := make([]flow.Event, 0, 2*flows)
	for i := range flows {
		for _, role := range []flow.Role{flow.RoleClient, flow.RoleServer} {
			evs = append(evs, flow.Event{Kind: flow.KindOpen, Time: base, Socket: benchSocket(i, role)})
		}
	}
	t.Apply(evs)
	second := int64(0)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; {
		second++
		for i := 0; i < len(evs) && n < b.N; i += batch {
			part := evs[i:min(i+batch, len(evs))]
			for j := range part {
				ev := &part[j]
				ev.Kind, ev.Time = flow.KindUpdate, base+second*int64(time.Second)
				ev.Socket.Sent.Packets, ev.Socket.Sent.Payload = ev.Socket.Sent.Packets+1, ev.Socket.Sent.Payload+1000
			}
			t.Apply(part)
			n += len(part)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

// BenchmarkTableChurn is short connections between containers, four events each.
func BenchmarkTableChurn(b *testing.B) {
	t := benchTable(0)
	now := base
	evs := make([]flow.Event, 0, 4)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		now += int64(10 * time.Microsecond)
		evs = evs[:0]
		for _, k := range []flow.Kind{flow.KindOpen, flow.KindClose} {
			for _, role := range []flow.Role{flow.RoleClient, flow.RoleServer} {
				ev := flow.Event{Kind: k, Time: now, Socket: benchSocket(n, role)}
				ev.Socket.Start = now
				evs = append(evs, ev)
			}
		}
		t.Apply(evs)
	}
	b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

// TestMemoryPerFlow keeps the promise of 80 MiB with 50,000 flows in sight: the
// table is the larger part of it.
func TestMemoryPerFlow(t *testing.T) {
	const flows = 50_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table := benchTable(0)
	for i := range flows {
		for _, role := range []flow.Role{flow.RoleClient, flow.RoleServer} {
			table.Apply([]flow.Event{{Kind: flow.KindOpen, Time: base, Socket: benchSocket(i, role)}})
		}
	}
	used := heap() - before
	t.Logf("%d flows: %.1f MiB, %d bytes a flow", table.Stats().Flows, float64(used)/(1<<20), used/flows)
	if table.Stats().Flows != flows {
		t.Errorf("%d flows in the table", table.Stats().Flows)
	}
	if used/flows > 700 {
		t.Errorf("%d bytes a flow, want at most 700", used/flows)
	}
	runtime.KeepAlive(table)
}

// TestNoAllocations: the steady state must not feed the garbage collector.
func TestNoAllocations(t *testing.T) {
	table := benchTable(1024)
	evs := make([]flow.Event, 512)
	for i := range evs {
		role := flow.RoleClient
		if i%2 == 1 {
			role = flow.RoleServer
		}
		evs[i] = flow.Event{Kind: flow.KindOpen, Time: base, Socket: benchSocket(i/2, role)}
	}
	table.Apply(evs)
	now := base
	if n := testing.AllocsPerRun(100, func() {
		now += int64(300 * time.Millisecond)
		for i := range evs {
			evs[i].Kind, evs[i].Time = flow.KindUpdate, now
			evs[i].Socket.Sent.Packets++
		}
		table.Apply(evs)
		table.Tick(now)
	}); n > 0 {
		t.Errorf("%v allocations for 512 updates", n)
	}
}

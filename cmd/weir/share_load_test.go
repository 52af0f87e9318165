package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// minute is what the kernel tells of one minute of a busy host: 10,000 requests a
// second between containers of this host on kept connections, counted in the kernel
// and some of them told in full, and 1,000 connections a second. It is a source that
// waits, so that nothing is lost and every run is the same work.
type minute struct {
	begin   int64
	seconds int // of the minute
}

// The load's shape.
const (
	loadServices = 10   // containers that ask, and as many that answer
	loadPaths    = 10   // operations of each
	loadBuckets  = 8    // of latencies, of each operation in a second
	loadOpened   = 1000 // connections a second, each of half a second
	loadKept     = 160  // connections that the requests go over
	loadSamples  = 400  // requests told in full a second: what the kernel tells on two processors
	loadErrors   = 100  // one in a hundred fails, and is told
)

func (m *minute) Stats() flow.SourceStats { return flow.SourceStats{} }

// Run gives the minute's events in their order.
func (m *minute) Run(ctx context.Context, out collector.Out) error {
	w := writer{ctx: ctx, out: out, batch: out.Batch()}
	for i := range loadKept {
		w.pair(flow.KindOpen, m.begin, m.begin, i, true)
	}
	for second := range m.seconds {
		at := m.begin + int64(second)*int64(time.Second)
		for i := range loadOpened {
			opened := at + int64(i)*int64(time.Second)/loadOpened
			w.pair(flow.KindOpen, opened, opened, loadKept+second*loadOpened+i, false)
			if i >= loadOpened/2 {
				w.pair(flow.KindClose, opened, opened-int64(time.Second)/2, loadKept+second*loadOpened+i-loadOpened/2, false)
			}
			if i%2 == 0 {
				w.request(opened, second*loadOpened+i)
			}
		}
		for i := range loadOpened / 2 {
			w.pair(flow.KindClose, at+int64(time.Second), at+int64(time.Second)/2, loadKept+second*loadOpened+loadOpened/2+i, false)
		}
		for i := range loadKept {
			w.pair(flow.KindUpdate, at+int64(time.Second), m.begin, i, true)
		}
		w.counted(at + int64(time.Second))
	}
	w.flush()
	return w.err
}

// writer fills batches.
type writer struct {
	ctx   context.Context
	out   collector.Out
	batch []flow.Event
	err   error
}

func (w *writer) put(ev flow.Event) {
	if w.batch = append(w.batch, ev); len(w.batch) == cap(w.batch) {
		w.flush()
	}
}

func (w *writer) flush() {
	if w.err == nil {
		w.err = w.out.Send(w.ctx, w.batch)
	}
	w.batch = w.out.Batch()
}

// pair is what both sockets of a connection say.
func (w *writer) pair(kind flow.Kind, now, start int64, i int, kept bool) {
	asks, answers := loadCgroups(i)
	local := netip.AddrPortFrom(loadAddr(asks), loadPort(i))
	remote := netip.AddrPortFrom(loadAddr(answers), 8080)
	s := flow.Socket{
		Cookie: uint64(2*i + 1), Cgroup: asks, NetNS: uint32(asks), PID: uint32(asks) + 1000, Comm: flow.MakeComm("client"), Protocol: flow.TCP,
		Role: flow.RoleClient, Local: local, Remote: remote, ConnID: uint64(i) + 1, Start: start, ConnectLatency: 90_000,
	}
	if kind != flow.KindOpen {
		n := uint64(1)
		if kept {
			n = uint64(now-start) / 1e9
		}
		s.RTT = 120_000
		s.Sent, s.Received = flow.Counters{Packets: 6 * n, Payload: 300 * n, Wire: 700 * n}, flow.Counters{Packets: 5 * n, Payload: 4000 * n, Wire: 4300 * n}
	}
	if kind == flow.KindClose {
		s.End = flow.EndClosed
	}
	w.put(flow.Event{Kind: kind, Time: now, Socket: s})
	s.Cookie, s.Cgroup, s.NetNS, s.PID, s.Comm = s.Cookie+1, answers, uint32(answers), uint32(answers)+1000, flow.MakeComm("server")
	s.Role, s.Local, s.Remote, s.ConnectLatency, s.Sent, s.Received = flow.RoleServer, remote, local, 0, s.Received, s.Sent
	w.put(flow.Event{Kind: kind, Time: now, Socket: s})
}

// request is one that is told in full, with a trace's header.
func (w *writer) request(now int64, i int) {
	asks, answers := loadCgroups(i)
	x := &flow.Exchange{
		Counted: loadCounted(asks, answers, i/loadServices%loadPaths), Cookie: uint64(2*(i%loadKept) + 1), ConnID: uint64(i%loadKept) + 1,
		NetNS: uint32(asks), PID: uint32(asks) + 1000, Comm: flow.MakeComm("client"), Local: netip.AddrPortFrom(loadAddr(asks), loadPort(i%loadKept)),
		RemotePort: 8080, Transport: flow.TCP, Status: 200, Why: flow.WhySample, Start: now, Latency: 2_000_000, RequestBytes: 300, ResponseBytes: 4000,
		HTTP: &flow.HTTPExchange{
			Method: "GET", Path: fmt.Sprintf("/api/%s/%d", loadNames[i/loadServices%loadPaths], i), Version: 11,
			Traceparent: fmt.Sprintf("00-%032x-%016x-01", i+1, i+1),
		},
	}
	if i%(loadSamples+loadErrors) < loadErrors {
		x.Status, x.Why = 503, flow.WhyError
	}
	w.put(flow.Event{Kind: flow.KindExchange, Time: now, Exchange: x})
}

// counted is one reading of the kernel's counts: 10,000 requests.
func (w *writer) counted(now int64) {
	const each = 10_000 / (loadServices * loadPaths * loadBuckets)
	for i := range loadServices {
		asks, answers := loadCgroups(i)
		for path := range loadPaths {
			for bucket := range loadBuckets {
				t := &flow.Tally{
					Counted: loadCounted(asks, answers, path), Status: 200, Bucket: flow.BucketOf(2_000_000) + uint16(bucket),
					Count: each, Latency: each * 2_000_000, RequestBytes: each * 300, ResponseBytes: each * 4000,
				}
				if bucket == 0 {
					t.Status = 503
				}
				w.put(flow.Event{Kind: flow.KindTally, Time: now, Tally: t})
			}
		}
	}
}

var loadNames = [loadPaths]string{"users", "orders", "items", "carts", "prices", "stock", "reviews", "images", "sessions", "events"}

func loadCgroups(i int) (asks, answers uint64) {
	return 100 + uint64(i%loadServices), 200 + uint64(i%loadServices)
}

// loadPort is a client's port, of those that Linux gives: 32768 to 60999. The kept
// connections' are nobody else's.
func loadPort(i int) uint16 {
	if i < loadKept {
		return uint16(32768 + i)
	}
	return uint16(33000 + i%27000)
}

func loadAddr(cgroup uint64) netip.Addr { return netip.AddrFrom4([4]byte{172, 18, 0, byte(cgroup)}) }

func loadCounted(asks, answers uint64, path int) flow.Counted {
	return flow.Counted{
		Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: asks, Peer: answers, Remote: loadAddr(answers), Port: 8080,
		Operation: flow.Operation(path + 1),
	}
}

// loadIdentity knows the load's containers.
type loadIdentity map[uint64]*flow.Workload

func newLoadIdentity() loadIdentity {
	all := loadIdentity{}
	for i := range loadServices {
		asks, answers := loadCgroups(i)
		for _, id := range []uint64{asks, answers} {
			name := fmt.Sprintf("service-%d", id)
			all[id] = &flow.Workload{
				CgroupID: id, Cgroup: "/system.slice/docker-" + name + ".scope", Runtime: flow.RuntimeDocker, Container: fmt.Sprintf("%064x", id),
				Name: "shop-" + name + "-1", Namespace: "shop", Image: "registry:5000/shop/" + name + ":1.2", Addrs: []netip.Addr{loadAddr(id)},
				Owner: flow.Owner{Kind: "ComposeService", Name: name},
				Labels: []flow.Label{
					{Source: "container", Key: "com.docker.compose.project", Value: "shop"}, {Source: "container", Key: "com.docker.compose.service", Value: name},
					{Source: "container", Key: "name", Value: "shop-" + name + "-1"},
				},
			}
		}
	}
	return all
}

func (l loadIdentity) Observe(*flow.Event)                   {}
func (l loadIdentity) Workload(cgroup uint64) *flow.Workload { return l[cgroup] }
func (l loadIdentity) ByAddr(a netip.Addr) *flow.Workload    { return l[uint64(a.As4()[3])] }
func (l loadIdentity) Names(uint64, netip.Addr) []string     { return nil }
func (l loadIdentity) Generation() uint64                    { return 0 }
func (l loadIdentity) Proxied(uint32) (a netip.AddrPort, ok bool) {
	return a, false
}

func (l loadIdentity) Translated(flow.Protocol, netip.AddrPort, netip.AddrPort) (a netip.AddrPort, ok bool) {
	return a, false
}

package ui

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// manyFlows is a snapshot of n flows between a hundred workloads and the world.
func manyFlows(n int, seq uint64) *aggregate.Snapshot {
	var workloads []*flow.Workload
	for i := range 100 {
		workloads = append(workloads, compose(uint64(i+100), fmt.Sprintf("service-%03d", i), "service", "img:1"))
	}
	s := &aggregate.Snapshot{Time: noon.UnixNano(), Seq: seq}
	for i := range n {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(1024+i%60000))
		server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 443)
		r := aggregate.FlowRow{Flow: flow.Flow{ID: uint64(i + 1), Protocol: flow.TCP, Start: noon.UnixNano() - int64(i)*1e9,
			Client: flow.Endpoint{Addr: client, Workload: workloads[i%100], Seen: true, PID: uint32(i), Comm: flow.MakeComm("worker")},
			Server: flow.Endpoint{Addr: server, Names: []string{"api.example.com"}}}}
		r.ReceivedRate.Payload = float64((i * 7919) % 100_003)
		s.Flows = append(s.Flows, r)
	}
	for _, w := range workloads {
		s.Workloads = append(s.Workloads, aggregate.WorkloadRow{Workload: w, Live: n / 100})
	}
	s.Totals.Live = n
	return s
}

// BenchmarkSnapshot is the work for a new snapshot, done twice a second.
func BenchmarkSnapshot(b *testing.B) {
	for _, c := range []struct{ name, filter, sort string }{
		{"plain", "", "recv/s"},
		{"by-name", "", "server"},
		{"filter-word", "service-04", "recv/s"},
		{"filter-port", "port:443 !ns:other", "recv/s"},
		{"filter-regexp", "/service-0[1-4]/", "recv/s"},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := testConfig()
			cfg.View, cfg.Filter, cfg.Sort = "flows", c.filter, c.sort
			m := testModel(b, cfg)
			first := manyFlows(50_000, 1)
			next := *first // the same flows, as half a second later
			next.Seq, next.Flows = 2, slices.Clone(first.Flows)
			snaps := []*aggregate.Snapshot{first, &next}
			m.update(&next, healthy(), noon)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.update(snaps[i%2], healthy(), noon)
			}
		})
	}
}

// BenchmarkOperations is the work for a new snapshot of ten thousand operations.
func BenchmarkOperations(b *testing.B) {
	for _, c := range []struct{ name, filter string }{
		{"plain", ""}, {"filter-word", "things/77"}, {"filter-path", "path:/things/77 method:get"}, {"filter-status", "status:5xx"},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := testConfig()
			cfg.View, cfg.Filter = "operations", c.filter
			m := testModel(b, cfg)
			snaps := []*aggregate.Snapshot{manyOperations(10_000, 1), manyOperations(10_000, 2)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.update(snaps[i%2], healthy(), noon)
			}
		})
	}
}

// BenchmarkFrameOperations is the work for a frame, whatever the number of operations.
func BenchmarkFrameOperations(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("operations=%d", n), func(b *testing.B) {
			cfg := testConfig()
			cfg.View = "operations"
			m := testModel(b, cfg)
			m.update(manyOperations(n, 1), healthy(), noon)
			p := newPainter(m, simulated(b, 200, 50), colourTheme())
			b.ReportAllocs()
			for b.Loop() {
				p.paint()
			}
		})
	}
}

// BenchmarkFrame is the work for a frame, whatever the number of flows.
func BenchmarkFrame(b *testing.B) {
	for _, n := range []int{100, 50_000} {
		for _, size := range [][2]int{{80, 24}, {200, 50}} {
			b.Run(fmt.Sprintf("flows=%d/%dx%d", n, size[0], size[1]), func(b *testing.B) {
				cfg := testConfig()
				cfg.View = "flows"
				m := testModel(b, cfg)
				m.update(manyFlows(n, 1), healthy(), noon)
				p := newPainter(m, simulated(b, size[0], size[1]), colourTheme())
				b.ReportAllocs()
				for b.Loop() {
					p.paint()
				}
			})
		}
	}
}

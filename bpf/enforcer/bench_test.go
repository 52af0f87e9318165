package enforcer

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// crowd is a plan with so many rules in the client's own set, beside workloads with
// ten rules each.
func (w *town) crowd(rules, workloads int) *kernel.Plan {
	own := policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), 0, 0, policy.Allow)}}
	for i := range rules {
		own.Entries = append(own.Entries, both(policy.Egress, policy.Identity(1<<20+i/1000), tcp, uint16(1000+i%1000), policy.Allow))
	}
	p := w.plan(map[string]policy.Set{"client": own})
	for i := range workloads {
		s := policy.Set{Egress: enforced}
		for n := range 10 {
			s.Entries = append(s.Entries, both(policy.Egress, policy.Identity(1<<21+i), tcp, uint16(2000+n), policy.Allow))
		}
		// No cgroup has these numbers: what counts is that the tables hold them.
		p.Tables.Workloads[1<<50+uint64(i)] = policy.WorkloadEntry{Identity: policy.Identity(1<<21 + i), Set: len(p.Tables.Sets)}
		p.Tables.Sets = append(p.Tables.Sets, s)
		p.Tables.Prefixes[netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)] = policy.Identity(1<<21 + i)
	}
	return p
}

// BenchmarkVerdict is what connect(2) takes without programs, with ten rules, and
// with ten thousand among a thousand workloads. A UDP socket's call is hardly
// anything but the verdict, a TCP socket's is a whole handshake.
func BenchmarkVerdict(b *testing.B) {
	w := newTown(b, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0), Behaviour: role.Sink})
	address := p.On(w.hosts["server"].V4)
	measure := func(spec role.Spec) float64 {
		spec.Role, spec.Address = role.Connector, address
		return float64(w.hosts["client"].Account(spec).Median.Nanoseconds())
	}
	calls := func() (udp, tcp float64) {
		return measure(role.Spec{Count: 2000}), measure(role.Spec{Count: 4000, Behaviour: role.Reset})
	}
	median := func(f []float64) float64 { slices.Sort(f); return f[len(f)/2] }
	for b.Loop() {
		var udp, tcp [3][]float64
		note := func(at int) {
			u, t := calls()
			udp[at], tcp[at] = append(udp[at], u), append(tcp[at], t)
		}
		for range lab.Rounds(5) {
			note(0)
			for at, p := range []*kernel.Plan{w.crowd(10, 0), w.crowd(10_000, 1000)} {
				if _, err := w.Apply(p); err != nil {
					b.Fatal(err)
				}
				note(at + 1)
			}
			// Off takes the tables too: the next round makes them again.
			if err := w.Off(); err != nil {
				b.Fatal(err)
			}
			w.Close()
			w.open()
		}
		off, few, many := median(udp[0]), median(udp[1]), median(udp[2])
		b.ReportMetric(few-off, "ns/verdict-10")
		b.ReportMetric(many-off, "ns/verdict-10000x1000")
		b.ReportMetric((many-off)/(few-off), "many/few")
		b.ReportMetric(median(tcp[0]), "ns/connect-off")
		b.ReportMetric(median(tcp[1]), "ns/connect-10")
		b.ReportMetric(median(tcp[2]), "ns/connect-10000x1000")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkApply changes one of a thousand workloads' rules, and tidies up, which
// nobody waits for.
func BenchmarkApply(b *testing.B) {
	w := newTown(b, "client", "server")
	plans := []*kernel.Plan{w.crowd(10, 1000), w.crowd(11, 1000)}
	if _, err := w.Apply(plans[0]); err != nil {
		b.Fatal(err)
	}
	var took, tidied []time.Duration
	for i := 1; b.Loop(); i++ {
		r, err := w.Apply(plans[i%2])
		if err != nil {
			b.Fatal(err)
		}
		if r.Filled != 1 {
			b.Fatalf("%d tables were new", r.Filled)
		}
		took = append(took, r.Took)
		begun := time.Now()
		if err := w.Tidy(); err != nil {
			b.Fatal(err)
		}
		tidied = append(tidied, time.Since(begun))
	}
	slices.Sort(took)
	slices.Sort(tidied)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(float64(tidied[len(tidied)/2].Microseconds())/1000, "ms/tidy-p50")
}

package enforcer

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// seat is where one of the enforcer's programs is at work.
type seat struct {
	program string
	empty   *ebpf.Program // does nothing
	put     func(*ebpf.Program) (link.Link, error)
}

// BenchmarkConnectHooks is what of a TCP connect(2) under policy is programs being
// run at all, and what weir's do: with empty programs at the same hooks against
// none, and with weir's against empty ones. A machine's speed drifts within seconds:
// the three are changed for slices, hundreds of times, and the differences are the
// medians of those of neighbours. run-ns is what the kernel's statistics say of all
// programs that one connection meets, from socket(2) to its reset, at both ends.
func BenchmarkConnectHooks(b *testing.B) {
	w := newTown(b, "client", "server")
	// Somebody has to be there, or its devices are not looked for.
	w.hosts["client"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0), Behaviour: role.Sink})
	spec := role.Spec{Role: role.Connector, Behaviour: role.Reset, Address: p.On(w.hosts["server"].V4)}
	if _, err := w.Apply(w.crowd(10, 0)); err != nil {
		b.Fatal(err)
	}
	seats := w.rise(b)
	var taken []link.Link
	clear := func() {
		for _, l := range taken {
			_ = l.Detach() // tracing cannot
			l.Close()
		}
		taken = nil
	}
	defer clear()
	states := []func(seat) *ebpf.Program{
		func(seat) *ebpf.Program { return nil },
		func(s seat) *ebpf.Program { return s.empty },
		func(s seat) *ebpf.Program { return w.programs[s.program] },
	}
	sit := func(state int) {
		clear()
		for _, s := range seats {
			p := states[state](s)
			if p == nil {
				continue
			}
			l, err := s.put(p)
			if err != nil {
				b.Fatalf("%s: %v", s.program, err)
			}
			taken = append(taken, l)
		}
		time.Sleep(20 * time.Millisecond)
	}
	connects := func(n int) float64 {
		s := spec
		s.Count = n
		return float64(w.hosts["client"].Account(s).Median.Nanoseconds())
	}
	for b.Loop() {
		var took, more [3][]float64
		for i := range lab.Rounds(150) {
			var now [3]float64
			for n := range states {
				at := (i + n) % 3
				sit(at)
				now[at] = connects(800)
			}
			for at := range states {
				took[at] = append(took[at], now[at])
				more[at] = append(more[at], now[at]-now[max(at-1, 0)])
			}
		}
		for at, name := range []string{"off", "empty", "weir"} {
			slices.Sort(took[at])
			slices.Sort(more[at])
			b.ReportMetric(took[at][len(took[at])/2], "ns/connect-"+name)
		}
		b.ReportMetric(more[1][len(more[1])/2], "ns/empty-off")
		b.ReportMetric(more[2][len(more[2])/2], "ns/weir-empty")
		for at, name := range []string{1: "empty", 2: "weir"} {
			if name == "" {
				continue
			}
			var programs []*ebpf.Program
			for _, s := range seats {
				if p := states[at](s); !slices.Contains(programs, p) {
					programs = append(programs, p)
				}
			}
			sit(at)
			b.ReportMetric(ran(b, programs, connects), "run-ns/"+name)
		}
		clear()
		b.ReportMetric(0, "ns/op")
	}
}

// ran is what programs take for one connection, the least of some rounds. Each
// program's is logged.
func ran(b *testing.B, programs []*ebpf.Program, connects func(n int) float64) float64 {
	b.Helper()
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	const n = 2000
	best := 0.0
	var detail []string
	for range lab.Rounds(6) {
		before := make([]*ebpf.ProgramStats, len(programs))
		read := func(p *ebpf.Program) *ebpf.ProgramStats {
			s, err := p.Stats()
			if err != nil {
				b.Fatal(err)
			}
			return s
		}
		for i, p := range programs {
			before[i] = read(p)
		}
		connects(n)
		sum, now := 0.0, []string(nil)
		for i, p := range programs {
			s := read(p)
			runs, ns := float64(s.RunCount-before[i].RunCount)/n, float64((s.Runtime-before[i].Runtime).Nanoseconds())/n
			sum += ns
			if runs > 0.01 {
				info, err := p.Info()
				if err != nil {
					b.Fatal(err)
				}
				now = append(now, fmt.Sprintf("%-17s %5.2f runs %7.1f ns", info.Name, runs, ns))
			}
		}
		if best == 0 || sum < best {
			best, detail = sum, now
		}
	}
	b.Logf("a connection:\n%s", strings.Join(detail, "\n"))
	return best
}

// rise takes all of the enforcer's programs from where they are, and tells where that
// was. The tables stay.
func (w *town) rise(b *testing.B) (seats []seat) {
	b.Helper()
	empty := emptyPrograms(b)
	for _, p := range points {
		put := func(q *ebpf.Program) (link.Link, error) {
			if p.tracing {
				return link.AttachTracing(link.TracingOptions{Program: q})
			}
			return link.AttachCgroup(link.CgroupOptions{Path: w.cfg.CgroupRoot, Attach: p.cgroup, Program: q})
		}
		seats = append(seats, seat{p.program, empty[p.program], put})
	}
	for at, l := range w.devices.links {
		info, err := l.Info()
		if err != nil {
			b.Fatal(err)
		}
		for name, p := range w.programs {
			of, err := p.Info()
			if err != nil {
				b.Fatal(err)
			}
			if id, _ := of.ID(); id != info.Program {
				continue
			}
			for _, h := range w.hosts {
				if h.NetNS != at.ns {
					continue
				}
				put := func(q *ebpf.Program) (l link.Link, err error) {
					err = h.Run(func() error {
						l, err = link.AttachTCX(link.TCXOptions{Interface: at.index, Program: q, Attach: at.hook.tcx})
						return err
					})
					return l, err
				}
				seats = append(seats, seat{name, empty[name], put})
			}
		}
	}
	if len(seats) == len(points) {
		b.Skip("no programs at devices: this kernel has no tcx")
	}
	detach(w.linkDir())
	if err := os.RemoveAll(w.linkDir()); err != nil {
		b.Fatal(err)
	}
	return seats
}

// emptyPrograms are programs by the names of the enforcer's, of the same kinds, which
// let everything pass.
func emptyPrograms(b *testing.B) map[string]*ebpf.Program {
	b.Helper()
	programs := map[string]*ebpf.Program{}
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadEnforce, loadDevice} {
		spec, err := load()
		if err != nil {
			b.Fatal(err)
		}
		for name, s := range spec.Programs {
			pass := int32(1)
			switch s.Type {
			case ebpf.Tracing:
				pass = 0
			case ebpf.SchedCLS:
				pass = -1 // TC_ACT_UNSPEC
			}
			s.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()}
			if programs[name], err = ebpf.NewProgram(s); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { programs[name].Close() })
		}
	}
	return programs
}

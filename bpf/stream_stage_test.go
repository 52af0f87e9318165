package bpf

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// stage is a host under capture with forged peers on its wire.
type stage struct {
	t       *testing.T
	capture *Capture
	told    *recorder
	host    *lab.Host
	wire    *lab.Wire
	dir     string
	peers   int // numbers that are taken
	of      flow.L7Protocol
}

// newStage captures nothing but what the lab's hosts do, so that every count is exact.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := quietStage(t)
	s.open()
	return s
}

// quietStage is one that is not captured yet. Stages know nothing of each other.
func quietStage(t *testing.T) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{t: t, host: lab.New(t).Host("real"), dir: t.TempDir(), of: flow.HTTP}
	s.wire = s.host.Wire()
	return s
}

func (s *stage) open() {
	s.t.Helper()
	cfg := quiet(s.t)
	cfg.Interval = 50 * time.Millisecond
	cfg.CgroupRoot = filepath.Dir(s.host.CgroupPath)
	s.capture, s.told = capture(s.t, cfg)
}

func (s *stage) peer(v6 bool) netip.Addr {
	s.peers++
	if v6 {
		return lab.PeerV6(s.peers)
	}
	return lab.PeerV4(s.peers)
}

// script writes the parts that the variants need, and says which one each needs.
func (s *stage) script(all []variant, server bool) (parts []role.Part, of []int) {
	known := map[*dialogue]int{}
	for _, v := range all {
		n, ok := known[v.d]
		if !ok {
			n = len(parts)
			known[v.d] = n
			parts = append(parts, v.d.part(server))
		}
		of = append(of, n)
	}
	return parts, of
}

func (s *stage) write(script role.Script) string {
	s.t.Helper()
	path := filepath.Join(s.dir, fmt.Sprintf("script%d.json", s.peers))
	if err := role.WriteScript(path, script); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// parallel is how many connections there are at once.
const parallel = 128

// serve plays the variants to a real server: requests arrive at it.
func (s *stage) serve(all ...variant) {
	s.t.Helper()
	s.serveAs(role.Spec{}, all...)
}

// play plays one side of the variants to a real socket: the server's to a client, or
// the client's to a server.
func (s *stage) play(server bool, all ...variant) {
	s.t.Helper()
	if server {
		s.ask(all...)
	} else {
		s.serve(all...)
	}
}

func (s *stage) serveAs(spec role.Spec, all ...variant) {
	s.t.Helper()
	parts, of := s.script(all, true)
	spec.Role, spec.Address, spec.Path = role.ScriptServer, lab.Listen(0), s.write(role.Script{Parts: parts})
	server := s.host.Play(spec)
	peers := make([]netip.Addr, len(all))
	for i, v := range all {
		peers[i] = s.peer(v.v6)
	}
	s.each(len(all), func(i int) error {
		v := &all[i]
		to := netip.AddrPortFrom(s.host.V4, server.Addr.Port())
		if v.v6 {
			to = netip.AddrPortFrom(s.host.V6, server.Addr.Port())
		}
		p, err := s.wire.Dial(role.PartAddr(peers[i], of[i]), to, v.silent)
		if err != nil {
			return err
		}
		return v.play(p, false)
	})
	s.settle()
	if r := server.Stop(); len(r.Failed) > 0 && !slices.ContainsFunc(all, func(v variant) bool { return v.end == endRST }) {
		s.t.Errorf("the server's account: %+v", r)
	}
	s.compare(all, peers, flow.RoleServer, server.Addr.Port())
}

// ask plays the variants to a real client: responses arrive at it.
func (s *stage) ask(all ...variant) {
	s.t.Helper()
	const port = 8080
	parts, of := s.script(all, false)
	script := role.Script{Parts: parts}
	addrs := make([]netip.Addr, len(all))
	peers := make([]*lab.Peer, len(all))
	for i, v := range all {
		addrs[i] = s.peer(v.v6)
		peers[i] = s.wire.Expect(netip.AddrPortFrom(addrs[i], port))
		script.Calls = append(script.Calls, role.Call{To: netip.AddrPortFrom(addrs[i], port).String(), Part: of[i]})
	}
	client := s.host.Play(role.Spec{Role: role.ScriptClient, Path: s.write(script), Parallel: parallel})
	s.each(len(all), func(i int) error {
		if err := peers[i].Established(); err != nil {
			return err
		}
		return all[i].play(peers[i], true)
	})
	if r := client.Stop(); len(r.Failed) > 0 && !slices.ContainsFunc(all, func(v variant) bool { return v.end == endRST }) {
		s.t.Errorf("the client's account: %+v", r)
	}
	s.settle()
	s.compare(all, addrs, flow.RoleClient, port)
}

// each calls do for every number, some at once and in order, and reports its errors.
// Now and then it waits until the kernel's table has been emptied.
func (s *stage) each(n int, do func(int) error) {
	s.t.Helper()
	errs := make([]error, n)
	for from := 0; from < n; from += room {
		if from > 0 {
			s.mark()
		}
		some(from, min(n, from+room), func(i int) { errs[i] = do(i) })
	}
	failed := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if failed++; failed <= 3 {
			s.t.Errorf("connection %d: %v", i, err)
		}
	}
	if failed > 3 {
		s.t.Errorf("… %d connections failed in all", failed)
	}
}

// room is how many connections are told between two readings at most: each makes a
// few entries in a table of 16,384.
const room = 1000

// some calls do for the numbers from and up to, a few at once, and returns when all
// are done.
func some(from, to int, do func(int)) {
	todo := make(chan int, to-from)
	for i := from; i < to; i++ {
		todo <- i
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(to-from, parallel) {
		wg.Go(func() {
			for i := range todo {
				do(i)
			}
		})
	}
	wg.Wait()
}

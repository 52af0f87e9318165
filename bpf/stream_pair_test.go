package bpf

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// between has real clients and real servers play dialogues, n connections each.
// Where early is more than 0, the server answers so many bytes before a request's
// end, and the client asks without waiting.
func (s *stage) between(server *lab.Host, to netip.Addr, n, early int, dialogues ...*dialogue) {
	s.t.Helper()
	want := outcomes{}
	var answers, asks []role.Part
	var calls []role.Call
	for i, d := range dialogues {
		// The client's port is not ours to choose: each dialogue has its own server.
		answers, asks = append(answers, d.part(true)), append(asks, d.part(false))
		answers[i].Eager, asks[i].Eager, asks[i].Close = true, true, true
		if early > 0 {
			hurry(&answers[i], &asks[i], early)
		}
		path := filepath.Join(s.dir, fmt.Sprintf("answers%d-%d.json", s.peers, i))
		if err := role.WriteScript(path, role.Script{Parts: answers[i:]}); err != nil {
			s.t.Fatal(err)
		}
		p := server.Play(role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: path})
		defer p.Stop()
		for range n {
			calls = append(calls, role.Call{To: p.On(to), Part: i})
			for k, a := range d.want {
				want.add(k, a)
			}
		}
	}
	r := s.host.Account(role.Spec{Role: role.ScriptClient, Path: s.write(role.Script{Parts: asks, Calls: calls}), Parallel: 8})
	if len(r.Failed) > 0 || r.Conns != len(calls) {
		s.t.Errorf("the clients' account: %+v", r)
	}
	s.settle()
	told := outcomes{}
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally && ev.Tally.Port != markPort }) {
		t := ev.Tally
		if t.Role != flow.RoleClient || t.Remote != to || t.Cgroup != s.host.CgroupID || t.Peer != server.CgroupID {
			s.t.Errorf("tally of %+v", t.Counted)
		}
		told.add(outcome{t.Operation, t.Status}, amount{t.Count, t.RequestBytes, t.ResponseBytes})
	}
	if !maps.EqualFunc(told, want, func(a, b amount) bool {
		// Of a request that is answered early counts what was asked by then.
		return a.Count == b.Count && a.Response == b.Response && a.Request <= b.Request && a.Request+a.Count*uint64(early) >= b.Request
	}) {
		s.t.Errorf("told\n%+v\nwant\n%+v", told, want)
	}
	s.nothingUnseen()
}

// newPair is a stage with a second host.
func newPair(t *testing.T) (s *stage, server *lab.Host) {
	t.Helper()
	t.Parallel()
	l := lab.New(t)
	s = &stage{t: t, host: l.Host("client"), dir: t.TempDir()}
	server = l.Host("server")
	s.wire = s.host.Wire()
	s.open()
	return s, server
}

// megabytes is what a network card would cut into a thousand segments.
func megabytes() []*dialogue {
	return []*dialogue{
		posted("/up", 1<<20, 10), posted("/down", 10, 1<<20), posted("/both", 300_000, 300_000), many(50), many(8).pipelined(),
	}
}

func hurry(answers, asks *role.Part, early int) {
	for i := range answers.Turns {
		answers.Turns[i].After -= early
	}
	for i := range asks.Turns[:len(asks.Turns)-1] {
		asks.Turns[i].After = 0
	}
}

func TestStreamLargeOverVeth(t *testing.T) {
	s, server := newPair(t)
	s.between(server, server.V4, 3, 0, megabytes()...)
}

func TestStreamLargeOverVeth6(t *testing.T) {
	s, server := newPair(t)
	s.between(server, server.V6, 2, 0, megabytes()...)
}

func TestStreamLargeOverLoopback(t *testing.T) {
	s := newStage(t)
	s.between(s.host, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 3, 0, megabytes()...)
}

// Both ends send at the same time, on two processors: the client all that it has, the
// server its answers while their requests are still under way.
func TestStreamBothWays(t *testing.T) {
	s, server := newPair(t)
	d := &dialogue{name: "both ways"}
	for range 6 {
		d.say("POST", "/both", "Content-Length: 200000\r\n", filler(200_000), 200, filler(200_000))
	}
	s.between(server, server.V4, 6, 150_000, d)
}

package bpf

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// compare holds what was told of each connection against what had to be.
func (s *stage) compare(all []variant, peers []netip.Addr, as flow.Role, port uint16) {
	s.t.Helper()
	told, misplaced := s.tallies(as, port)
	if misplaced != "" {
		s.t.Error(misplaced)
	}
	wrong := 0
	for i, v := range all {
		want := v.d.want
		if v.want != nil {
			want = *v.want
		}
		if maps.Equal(told[peers[i]], want) || v.lossy && told[peers[i]].within(want) {
			continue
		}
		if wrong++; wrong <= 3 {
			s.t.Errorf("%s (%s): told\n%+v\nwant\n%+v", v.name, peers[i], told[peers[i]], want)
		}
	}
	if wrong > 3 {
		s.t.Errorf("… %d of %d connections told wrongly in all", wrong, len(all))
	}
	s.paths(all, peers)
}

// tallies sums what was told, by forged peer.
func (s *stage) tallies(as flow.Role, port uint16) (told map[netip.Addr]outcomes, misplaced string) {
	told = map[netip.Addr]outcomes{}
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally }) {
		t := ev.Tally
		if t.Role != as || t.Port != port {
			continue
		}
		if t.Cgroup != s.host.CgroupID || t.Protocol != s.of || t.Peer != 0 {
			misplaced = fmt.Sprintf("tally of %+v", t.Counted)
		}
		if told[t.Remote] == nil {
			told[t.Remote] = outcomes{}
		}
		told[t.Remote].add(outcome{t.Operation, t.Status}, amount{t.Count, t.RequestBytes, t.ResponseBytes})
	}
	return told, misplaced
}

// paths looks at the exchanges that were told in full.
func (s *stage) paths(all []variant, peers []netip.Addr) {
	s.t.Helper()
	of := map[netip.Addr]*variant{}
	for i, p := range peers {
		of[p] = &all[i]
	}
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange }) {
		x := ev.Exchange
		v := of[x.Remote]
		if v == nil || s.of != flow.HTTP {
			continue
		}
		if x.HTTP == nil || x.HTTP.Path != "" && !slices.Contains(v.d.paths, x.HTTP.Method+" "+x.HTTP.Path) {
			s.t.Errorf("%s: exchange %+v, path of %v", v.name, x.HTTP, v.d.paths)
			continue
		}
		if strings.HasPrefix(x.HTTP.Path, "/") && len(x.HTTP.Path) < 100 && operationOf(x.HTTP.Method, x.HTTP.Path) != x.Operation {
			s.t.Errorf("%s: exchange of operation %x shows %s %s, which is another's", v.name, x.Operation, x.HTTP.Method, x.HTTP.Path)
		}
	}
}

// settle waits until everything was told that was counted before. A reading is told
// in no order: one more has to follow.
func (s *stage) settle() {
	s.t.Helper()
	for range 2 {
		s.mark()
	}
}

const markPort = 9

// mark waits until an exchange that has just been is told.
func (s *stage) mark() {
	s.t.Helper()
	d := simple("/mark", 204)
	peer := s.wire.Expect(netip.AddrPortFrom(s.peer(false), markPort))
	client := s.host.Play(role.Spec{Role: role.ScriptClient, Path: s.write(role.Script{
		Parts: []role.Part{d.part(false)}, Calls: []role.Call{{To: peer.Local().String()}},
	})})
	err := peer.Established()
	if err == nil {
		v := variant{name: "mark", d: d, shape: whole}
		err = v.play(peer, true)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	client.Stop()
	s.told.wait(s.t, "tally of the last connection", 1, func(ev *flow.Event) bool {
		return ev.Kind == flow.KindTally && ev.Tally.Remote == peer.Local().Addr()
	})
}

// unseen is what was not read of the stage's protocol so far, by reason.
func (s *stage) unseen() map[string]flow.Unseen {
	all := map[string]flow.Unseen{}
	for _, u := range s.capture.Stats().Unseen {
		if u.Protocol == s.of {
			all[u.Reason] = u
		}
	}
	return all
}

// nothingUnseen fails if something was missed.
func (s *stage) nothingUnseen() {
	s.t.Helper()
	if u := s.unseen(); len(u) > 0 {
		s.t.Errorf("unseen: %+v", u)
	}
}

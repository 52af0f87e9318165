package bpf

import (
	"fmt"
	"maps"
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

// The stream tests hold what weir tells of HTTP/1 against TCP as it can be: one
// end of each connection is a real socket of a child process, the other is forged,
// and says the same in whatever segments a test can think of. What is told has to
// be the same, too: of every connection exactly the exchanges that there were.

// outcome is what exchanges of one kind have in common.
type outcome struct {
	Operation flow.Operation
	Status    uint16
}

// amount is how many there were, and how large they were together.
type amount struct {
	Count, Request, Response uint64
}

// outcomes is what was told of one connection, or has to be.
type outcomes map[outcome]amount

func (o outcomes) add(k outcome, a amount) {
	sum := o[k]
	o[k] = amount{sum.Count + a.Count, sum.Request + a.Request, sum.Response + a.Response}
}

// within tells whether there is nothing in o that is not in all.
func (o outcomes) within(all outcomes) bool {
	for k, a := range o {
		most := all[k]
		if a.Count > most.Count || a.Request > most.Request || a.Response > most.Response {
			return false
		}
	}
	return true
}

// exchanged is one exchange.
type exchanged struct {
	outcome
	amount
}

// turn ends where so many bytes were asked and answered in all.
type turn struct{ asked, answered int }

// dialogue is what both ends of a connection say, and what is to be told of it.
type dialogue struct {
	name                string
	requests, responses []byte
	turns               []turn
	paths               []string // that may be told
	want                outcomes
	each                []exchanged // in order, where a test made it
	close               bool        // the server finishes after its last answer
}

// side is one direction of a dialogue: what is said, up to where in each turn, and
// how much is heard before it.
func (d *dialogue) side(server bool) (stream []byte, ends, after []int) {
	for i, t := range d.turns {
		if server {
			ends, after = append(ends, t.answered), append(after, t.asked)
		} else {
			ends = append(ends, t.asked)
			heard := 0
			if i > 0 {
				heard = d.turns[i-1].answered
			}
			after = append(after, heard)
		}
	}
	if server {
		return d.responses, ends, after
	}
	return d.requests, ends, after
}

// part is a side as a script for a real socket.
func (d *dialogue) part(server bool) role.Part {
	stream, ends, after := d.side(server)
	p := role.Part{Close: server && d.close}
	from := 0
	for i, end := range ends {
		p.Turns = append(p.Turns, role.Turn{After: after[i], Say: stream[from:end]})
		from = end
	}
	if !server {
		p.Turns = append(p.Turns, role.Turn{After: len(d.responses)})
	}
	return p
}

// shape makes segments of one turn of a stream.
type shape func(stream []byte, from, to int) []lab.Segment

func whole(stream []byte, from, to int) []lab.Segment {
	return []lab.Segment{{At: from, Data: stream[from:to]}}
}

// variant is one connection: a dialogue, and how its forged end says its side.
type variant struct {
	name   string
	d      *dialogue
	shape  shape
	v6     bool
	silent bool      // see lab.Wire.Dial
	late   bool      // there is no socket before the first payload
	asleep bool      // the socket's program sleeps while a turn is sent, so that each segment is decided on at once
	end    end       // how the forged end ends
	want   *outcomes // instead of the dialogue's
	lossy  bool      // some of it may be missing, but nothing is wrong
}

// How the forged end of a connection ends it.
type end uint8

const (
	endFIN     end = iota // behind its last segment, or when the socket has finished
	endWithFIN            // in its last segment
	endRST
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

// play says the forged side of a connection, and ends it.
func (v *variant) play(p *lab.Peer, server bool) error {
	if err := v.turns(p, server, 0, len(v.d.turns)); err != nil {
		return err
	}
	return v.finish(p, server)
}

// turns says the forged side in some of the turns.
func (v *variant) turns(p *lab.Peer, server bool, first, behind int) error {
	stream, ends, after := v.d.side(server)
	from := 0
	if first > 0 {
		from = ends[first-1]
	}
	for i := first; i < behind; i++ {
		if _, err := p.Received(after[i]); err != nil {
			return fmt.Errorf("%s, turn %d: %w", v.name, i, err)
		}
		if v.asleep && (i > 0 || !v.late) {
			if err := v.sleeps(p, i, server); err != nil {
				return fmt.Errorf("%s, turn %d: %w", v.name, i, err)
			}
		}
		segments := v.shape(stream, from, ends[i])
		if i == len(ends)-1 && len(segments) > 0 && v.end == endWithFIN {
			segments[len(segments)-1].FIN = true
		}
		if err := v.send(p, segments, ends[i]); err != nil {
			return fmt.Errorf("%s, turn %d: %w", v.name, i, err)
		}
		from = ends[i]
	}
	return nil
}

// sleeps waits until the socket's program waits for this turn of ours, if it does.
func (v *variant) sleeps(p *lab.Peer, n int, server bool) error {
	stream, ends, _ := v.d.side(server)
	before := 0
	if n > 0 {
		before = ends[n-1]
	}
	if ends[n] == before || len(stream) == 0 {
		return nil
	}
	if !server {
		return p.Asleep(n)
	}
	return p.Asleep(n + 1)
}

// send sends the segments of a turn. A socket has room for so many small ones that
// its program has not read.
func (v *variant) send(p *lab.Peer, segments []lab.Segment, end int) error {
	for group := range slices.Chunk(segments, 64) {
		if err := p.Send(group...); err != nil {
			return err
		}
		if len(segments) <= 64 {
			continue
		}
		taken := 0
		for _, s := range group {
			if s.Valid() {
				taken = max(taken, s.At+len(s.Data))
			}
		}
		if err := p.Taken(min(taken, end)); err != nil {
			return err
		}
	}
	return p.Taken(end)
}

// finish ends a connection when everything was heard.
func (v *variant) finish(p *lab.Peer, server bool) error {
	said, _, _ := v.d.side(server)
	heard, _, _ := v.d.side(!server)
	got, err := p.Received(len(heard))
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	if string(got) != string(heard) {
		return fmt.Errorf("%s: the socket sent\n%q\nwant\n%q", v.name, got, heard)
	}
	sent := len(said)
	switch v.end {
	case endRST:
		return p.Send(lab.Segment{At: sent, RST: true})
	case endFIN:
		if v.d.close && !server {
			if err := p.Ended(); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
		}
		if err := p.Send(lab.Segment{At: sent, FIN: true}); err != nil {
			return err
		}
	}
	if err := p.Ended(); err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	return nil
}

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

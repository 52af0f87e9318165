package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// bodyOf is where the body begins of a message that begins at from.
func bodyOf(stream []byte, from, to int) int {
	if at := bytes.Index(stream[from:to], []byte("\r\n\r\n")); at >= 0 {
		return from + at + 4
	}
	return to
}

// bodyBackwards sends a message's head, and its body from the end on.
func bodyBackwards(stream []byte, from, to int) []lab.Segment {
	body := bodyOf(stream, from, to)
	rest := every(300)(stream, body, to)
	slices.Reverse(rest)
	return append(pieces(stream, from, body), rest...)
}

// backwards sends segments of n bytes from the end on.
func backwards(n int) shape {
	return every(n).then(func(all []lab.Segment) []lab.Segment {
		slices.Reverse(all)
		return all
	})
}

// What came in another order than it was sent is unseen, but where it makes no difference.
func TestStreamOutOfOrder(t *testing.T) {
	s := newStage(t)
	harmless := []variant{
		{name: "bodies", d: posted("/up", 5000, 5000), shape: bodyBackwards},
		{name: "bodies, IPv6", d: posted("/up", 5000, 5000), shape: bodyBackwards, v6: true},
	}
	s.serve(harmless...)
	s.ask(harmless...)
	s.nothingUnseen()
	var all []variant
	for _, d := range append(conversations(), captured(t)...) {
		for _, n := range []int{1, 2, 3, 5, 20, 50} {
			v := variant{name: fmt.Sprintf("%s backwards by %d", d.name, n), d: d, shape: backwards(n), lossy: true}
			// A socket keeps so many out of order.
			if max(len(d.requests), len(d.responses)) < 60*n {
				all = append(all, v)
			}
		}
	}
	s.serve(all...)
	s.ask(all...)
	if gap := s.unseen()["gap"]; int(gap.Stretches) < len(all) || gap.Bytes < 1000 {
		t.Errorf("unseen %+v, of %d connections twice", gap, len(all))
	}
}

// Where the first bytes were missed, and nobody knows what they were, reading begins
// behind the first exchange that is whole.
func TestStreamFirstBytesOutOfOrder(t *testing.T) {
	s := newStage(t)
	d := many(5)
	want := outcomes{}
	for i := 2; i < 5; i++ {
		want.take(d, i)
	}
	var all []variant
	for n := 1; n < 4; n++ {
		swapped := cutAt(n).then(func(all []lab.Segment) []lab.Segment {
			if all[0].At == 0 {
				slices.Reverse(all)
			}
			return all
		})
		all = append(all, variant{name: fmt.Sprintf("%d bytes", n), d: d, shape: swapped, want: &want})
	}
	s.serve(all...)
	if u := s.unseen()["mid_stream"]; u.Bytes == 0 {
		t.Errorf("unseen %+v", s.unseen())
	}
}

// unseenAt has weir not see the bytes from at to end: it does not read IPv6
// extension headers.
func unseenAt(at, end int) shape {
	return func(stream []byte, from, to int) []lab.Segment {
		all := pieces(stream, from, to, at, end)
		for i := range all {
			all[i].BehindOptions = all[i].At >= at && all[i].At < end
		}
		return all
	}
}

func TestStreamGap(t *testing.T) {
	s := newStage(t)
	d := (&dialogue{name: "five"}).
		say("POST", "/1", "Content-Length: 1000\r\n", filler(1000), 200, filler(1000)).
		say("GET", "/lost", "", "", 200, "lost").
		say("GET", "/proof", "", "", 200, "proof").
		say("GET", "/4", "", "", 200, filler(10)).
		say("GET", "/5", "", "", 500, "")
	harmless := variant{name: "in a body", d: d, shape: unseenAt(200, 900), v6: true}
	s.serve(harmless)
	s.ask(harmless)
	s.nothingUnseen()

	// Reading goes on behind the first exchange that was whole again.
	want := outcomes{}
	for _, i := range []int{0, 3, 4} {
		want.take(d, i)
	}
	var served, asked []variant
	for _, n := range []int{1, 3, 12} {
		at := d.turns[0].asked + 10
		served = append(served, variant{name: "in a request", d: d, shape: unseenAt(at, at+n), v6: true, want: &want})
		at = d.turns[0].answered + 10
		asked = append(asked, variant{name: "in a response", d: d, shape: unseenAt(at, at+n), v6: true, want: &want})
	}
	s.serve(served...)
	s.ask(asked...)
	gap, late := s.unseen()["gap"], s.unseen()["mid_stream"]
	if gap.Stretches != 6 || gap.Bytes < 2*(1+3+12) || late.Bytes == 0 {
		t.Errorf("unseen %+v and %+v", gap, late)
	}
}

// The first payload meets the listener where the third segment of the handshake is
// lost, or where the listener waits for it.
func TestStreamMeetsListener(t *testing.T) {
	s := newStage(t)
	var all []variant
	for _, d := range append(conversations(), captured(t)...) {
		for i, shape := range []shape{whole, shape(whole).then(twice), every(20), every(113).then(twice)} {
			all = append(all, variant{
				name: fmt.Sprintf("%s, shape %d", d.name, i), d: d, shape: shape, v6: i%2 == 1, silent: true, late: true, asleep: true,
				// More chunks than can be handed over: where they end is not seen.
				lossy: d.name == "curl-chunked-upload" && i < 2,
			})
		}
	}
	large := posted("/large", 5000, 10)
	all = append(all, variant{name: "large", d: large, shape: whole, silent: true, late: true})
	s.serve(all...)
	s.serveAs(role.Spec{Behaviour: role.Defer}, all...)
	for i := range all {
		all[i].silent = false
	}
	s.serveAs(role.Spec{Behaviour: role.Defer}, all...)
	u := s.unseen()
	if u["listener"].Stretches == 0 || u["gap"].Stretches != 6 {
		t.Errorf("unseen %+v, want six connections of many chunks", u)
	}
	delete(u, "listener")
	delete(u, "gap")
	if len(u) > 0 {
		t.Errorf("unseen: %+v", u)
	}
}

// A first payload of a few bytes is not known for a request's.
func TestStreamMeetsListenerInPieces(t *testing.T) {
	s := newStage(t)
	d := conversations()[0]
	var all []variant
	for at := 1; at < 60; at++ {
		all = append(all, variant{name: fmt.Sprintf("cut at %d", at), d: d, shape: cutAt(at), silent: true, late: true, lossy: at < 5})
	}
	s.serve(all...)
}

// older plays the first part of each variant, begins to capture, and plays the rest.
func (s *stage) older(all []variant, before func(*variant, *lab.Peer) error, rest func(*variant, *lab.Peer) error) {
	s.t.Helper()
	parts, of := s.script(all, true)
	server := s.host.Play(role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: s.write(role.Script{Parts: parts})})
	var addrs []netip.Addr
	var peers []*lab.Peer
	for i := range all {
		addr := s.peer(false)
		p, err := s.wire.Dial(role.PartAddr(addr, of[i]), server.Addr, false)
		if err == nil {
			err = p.Asleep(0) // it was accepted
		}
		if err == nil {
			err = before(&all[i], p)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		addrs, peers = append(addrs, addr), append(peers, p)
	}
	s.open()
	s.told.wait(s.t, "older sockets", len(all), olderServers(server.Addr.Port()))
	for i, p := range peers {
		if err := rest(&all[i], p); err != nil {
			s.t.Fatal(err)
		}
		if err := all[i].finish(p, false); err != nil {
			s.t.Fatal(err)
		}
	}
	s.settle()
	server.Stop()
	s.compare(all, addrs, flow.RoleServer, server.Addr.Port())
	if u := s.unseen()["mid_stream"]; u.Bytes == 0 {
		s.t.Errorf("unseen %+v", s.unseen())
	}
}

// olderServers selects what is told of servers that are older than weir.
func olderServers(port uint16) func(*flow.Event) bool {
	return of(flow.KindUpdate, func(k *flow.Socket) bool {
		return k.Preexisting && k.Role == flow.RoleServer && k.Local.Port() == port
	})
}

// Between two messages, reading begins behind the first exchange.
func TestStreamOlderThanWeir(t *testing.T) {
	s := quietStage(t)
	d := many(5)
	var all []variant
	for done := range d.turns {
		want := outcomes{}
		for i := range d.turns {
			if done == 0 || i > done {
				want.take(d, i)
			}
		}
		all = append(all, variant{name: strconv.Itoa(done), d: d, shape: whole, want: &want})
	}
	done := func(v *variant) int {
		n, _ := strconv.Atoi(v.name)
		return n
	}
	s.older(all, func(v *variant, p *lab.Peer) error {
		if err := v.turns(p, false, 0, done(v)); err != nil || done(v) == 0 {
			return err
		}
		_, err := p.Received(d.turns[done(v)-1].answered)
		return err
	}, func(v *variant, p *lab.Peer) error { return v.turns(p, false, done(v), len(d.turns)) })
}

// Inside of a message, what looks like requests may be a body.
func TestStreamOlderThanWeirInBody(t *testing.T) {
	s := quietStage(t)
	const fake = "GET /wrong HTTP/1.1\r\nHost: wrong\r\n\r\n"
	var all []variant
	var cuts []int
	for _, body := range []string{
		fake, fake + fake, fake + "x", strings.Repeat(fake, 7), strings.Repeat(fake, 12), fake[:20], fake + fake[:20],
		"POST /wrong HTTP/1.1\r\nHost: wrong\r\nContent-Length: 9\r\n\r\n123", "CONNECT wrong:1 HTTP/1.1\r\nHost: wrong:1\r\n\r\n",
	} {
		d := (&dialogue{name: body}).say("POST", "/form", fmt.Sprintf("Content-Length: %d\r\n", 10+len(body)), "0123456789"+body, 200, "ok")
		at := len(d.requests) - len(body)
		for i := range 6 {
			d.say("GET", fmt.Sprintf("/after/x%d", i), "", "", uint16(200+i), "")
		}
		for _, shape := range []shape{cutAt(at), cutAt(at, at+len(fake)), cutAt(at, at+7)} {
			all, cuts = append(all, variant{name: fmt.Sprintf("%.60q", body), d: d, shape: shape, lossy: true}), append(cuts, at)
		}
	}
	cut := map[*variant]int{}
	for i := range all {
		cut[&all[i]] = cuts[i]
	}
	s.older(all, func(v *variant, p *lab.Peer) error {
		if err := p.Send(lab.Segment{Data: v.d.requests[:cut[v]]}); err != nil {
			return err
		}
		return p.Taken(cut[v])
	}, func(v *variant, p *lab.Peer) error { return v.turns(p, false, 0, len(v.d.turns)) })
}

// take adds a dialogue's exchange.
func (o outcomes) take(d *dialogue, n int) {
	e := d.each[n]
	o.add(e.outcome, e.amount)
}

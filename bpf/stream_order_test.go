package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
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

// Connections that are older than weir.
func TestStreamOlderThanWeir(t *testing.T) {
	s := quietStage(t)
	d := (&dialogue{name: "five"}).say("GET", "/1", "", "", 200, "1").
		say("POST", "/2", "Content-Length: 700\r\n", filler(700), 200, filler(700)).
		say("GET", "/3", "", "", 200, "3").say("GET", "/4", "", "", 404, "").say("GET", "/5", "", "", 200, "")
	script := role.Script{Parts: []role.Part{d.part(true)}}
	server := s.host.Play(role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: s.write(script)})
	var all []variant
	var peers []netip.Addr
	var open []*lab.Peer
	for before := range d.turns {
		want := outcomes{}
		v := variant{name: fmt.Sprintf("%d exchanges before", before), d: d, shape: whole, want: &want}
		for i := range d.turns {
			// The first that is seen proves where messages begin.
			if before == 0 || i > before {
				want.take(d, i)
			}
		}
		addr := s.peer(false)
		p, err := s.wire.Dial(role.PartAddr(addr, 0), server.Addr, false)
		if err == nil {
			err = v.turns(p, false, 0, before)
		}
		if err == nil && before > 0 {
			_, err = p.Received(d.turns[before-1].answered)
		}
		if err != nil {
			t.Fatal(err)
		}
		all, peers, open = append(all, v), append(peers, addr), append(open, p)
	}
	s.open()
	s.told.wait(t, "older sockets", len(open), of(flow.KindUpdate, func(k *flow.Socket) bool {
		return k.Preexisting && k.Role == flow.RoleServer && k.Local.Port() == server.Addr.Port()
	}))
	for i, p := range open {
		if err := all[i].turns(p, false, i, len(d.turns)); err != nil {
			t.Fatal(err)
		}
		if err := all[i].finish(p, false); err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	server.Stop()
	s.compare(all, peers, flow.RoleServer, server.Addr.Port())
	if u := s.unseen()["mid_stream"]; u.Bytes == 0 {
		t.Errorf("unseen %+v", s.unseen())
	}
}

// take adds a dialogue's exchange.
func (o outcomes) take(d *dialogue, n int) {
	e := d.each[n]
	o.add(e.outcome, e.amount)
}

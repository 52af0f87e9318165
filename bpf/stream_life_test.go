package bpf

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// many is a dialogue of n exchanges of all kinds.
func many(n int) *dialogue {
	d := &dialogue{name: fmt.Sprintf("%d exchanges", n)}
	for i := range n {
		switch i % 4 {
		case 0:
			d.say("GET", fmt.Sprintf("/users/%d", i), "Accept: */*\r\n", "", 200, filler(i))
		case 1:
			d.say("POST", "/users", fmt.Sprintf("Content-Length: %d\r\n", i), filler(i), 201, "")
		case 2:
			d.say("GET", "/missing/"+strings.Repeat("x", i%90), "", "", 404, "no")
		case 3:
			d.say("DELETE", "/users/1234567", "", "", 204, "")
		}
	}
	return d
}

func TestStreamPipelined(t *testing.T) {
	s := newStage(t)
	var all []variant
	for n := 2; n <= 8; n++ {
		d := many(n).pipelined()
		for i, shape := range []shape{whole, every(7), every(50).then(twice), cutAt(20)} {
			all = append(all, variant{name: fmt.Sprintf("%s, shape %d", d.name, i), d: d, shape: shape, v6: i%2 == 1, asleep: true})
		}
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
	// More than are remembered.
	over := []variant{{name: "9", d: many(9).pipelined(), shape: whole, lossy: true}, {name: "40", d: many(40).pipelined(), shape: whole, lossy: true}}
	s.serve(over...)
	s.ask(over...)
	if u := s.unseen()["pipelined"]; u.Stretches != 4 {
		t.Errorf("unseen %+v, want four connections that asked for too much at once", s.unseen())
	}
}

func TestStreamKeptAlive(t *testing.T) {
	s := newStage(t)
	var all []variant
	for i, shape := range []shape{whole, every(11), every(64).then(twice)} {
		all = append(all, variant{name: fmt.Sprintf("shape %d", i), d: many(200), shape: shape, v6: i%2 == 1, asleep: true})
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

// cutOff is a dialogue whose last answer ends after n bytes.
func cutOff(d *dialogue, n int) *dialogue {
	last := len(d.turns) - 1
	d.want = outcomes{}
	for i, e := range d.each {
		if i == last {
			d.responses = d.responses[:d.turns[last].answered-int(e.Response)+n]
			d.turns[last].answered = len(d.responses)
			e = exchanged{outcome{e.Operation, flow.NoAnswer}, amount{1, e.Request, 0}}
		}
		d.want.add(e.outcome, e.amount)
	}
	d.close = true
	return d
}

// A connection may end at any time.
func TestStreamEnds(t *testing.T) {
	s := newStage(t)
	var all []variant
	for how, end := range map[string]end{"FIN": endFIN, "FIN with data": endWithFIN, "RST": endRST} {
		all = append(all,
			variant{name: "whole, " + how, d: many(3), shape: whole, end: end},
			variant{name: "no answer, " + how, d: cutOff(many(2), 0), shape: whole, end: end},
			variant{name: "half a head, " + how, d: cutOff(many(1), 10), shape: whole, end: end},
			variant{name: "half a body, " + how, d: cutOff(posted("/cut", 10, 500), 300), shape: whole, end: end})
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

// What nobody asked for is no answer.
func TestStreamAnswersUnasked(t *testing.T) {
	s := newStage(t)
	var all []variant
	for i, extra := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\x00", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	} {
		d := many(3)
		d.responses = append(d.responses, extra...)
		d.turns[2].answered = len(d.responses)
		all = append(all, variant{name: fmt.Sprintf("unasked %d", i), d: d, shape: whole},
			variant{name: fmt.Sprintf("unasked %d, later", i), d: d, shape: cutAt(len(d.responses) - len(extra))})
	}
	s.ask(all...)
	s.serve(all...)
	if u := s.unseen()["error"]; int(u.Stretches) != 2*len(all) {
		t.Errorf("unseen %+v, want an error on each of %d connections", s.unseen(), 2*len(all))
	}
}

// A socket without room takes nothing of what its peer tries.
func TestStreamZeroWindow(t *testing.T) {
	s := newStage(t)
	err := s.host.Run(func() error { return os.WriteFile("/proc/sys/net/ipv4/tcp_rmem", []byte("4096 8192 8192"), 0) })
	if err != nil {
		t.Fatal(err)
	}
	d := (&dialogue{name: "window"}).say("GET", "/patience", "X-Long: "+strings.Repeat("a", 40000)+"\r\n", "", 200, "")
	part := d.part(true)
	part.Hold, part.Eager = 500*time.Millisecond, true
	server := s.host.Play(role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: s.write(role.Script{Parts: []role.Part{part}})})
	addr, start := s.peer(false), time.Now()
	p, err := s.wire.Dial(role.PartAddr(addr, 0), server.Addr, false)
	if err != nil {
		t.Fatal(err)
	}
	sent, room := p.Room()
	for ; room > 0; sent, room = p.Room() {
		next := min(sent+room, sent+1400)
		if err := p.Send(lab.Segment{At: sent, Data: d.requests[sent:next]}); err != nil {
			t.Fatal(err)
		}
		if err := p.Taken(next); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		// A wrong byte, and then as a kernel probes.
		if err := p.Send(lab.Segment{At: sent, Data: []byte{0}}, lab.Segment{At: sent, Data: d.requests[sent : sent+1]}); err != nil {
			t.Fatal(err)
		}
	}
	if time.Since(start) >= part.Hold {
		t.Skip("the machine is too busy: the server may have read already, and have taken the wrong byte")
	}
	if err := s.pour(p, d.requests); err != nil {
		t.Fatal(err)
	}
	v := variant{name: "window", d: d}
	if err := v.finish(p, false); err != nil {
		t.Fatal(err)
	}
	s.settle()
	server.Stop()
	s.compare([]variant{v}, []netip.Addr{addr}, flow.RoleServer, server.Addr.Port())
	s.nothingUnseen()
}

// pour sends what a socket has room for, until it has all.
func (s *stage) pour(p *lab.Peer, stream []byte) error {
	asked, turns := -1, 0
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		taken, room := p.Room()
		if turns++; turns%200 == 0 {
			asked = -1 // a segment that found no memory
		}
		switch {
		case taken == len(stream):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d bytes taken after %v", taken, len(stream), patience)
		case taken == asked || room == 0:
			continue
		}
		asked = taken
		if err := p.Send(lab.Segment{At: taken, Data: stream[taken:min(len(stream), taken+room, taken+1400)]}); err != nil {
			return err
		}
	}
}

package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// rejected are ways to forge a segment so that TCP does not take it, though its
// bytes would be the next ones.
var rejected = map[string]func(*lab.Segment){
	"bad checksum":    func(s *lab.Segment) { s.BadChecksum = true },
	"old timestamp":   func(s *lab.Segment) { s.Old = true },
	"beyond window":   func(s *lab.Segment) { s.At += 1 << 30 },
	"before window":   func(s *lab.Segment) { s.At -= 1 << 20 },
	"without ACK":     func(s *lab.Segment) { s.NoACK = true },
	"ACK of the lost": func(s *lab.Segment) { s.AckAhead = true },
}

// lies are what such a segment may say instead of the truth.
func lies(server bool) map[string]func(truth string) string {
	message := "GET /wrong HTTP/1.1\r\nHost: wrong\r\n\r\n"
	if server {
		message = "HTTP/1.1 555 Wrong\r\nContent-Length: 0\r\n\r\n"
	}
	change := strings.NewReplacer("/", "/wrong/", " 200 ", " 555 ", " 204 ", " 555 ", "Content-Length: ", "Content-Length: 1")
	return map[string]func(string) string{
		"a message":       func(string) string { return message },
		"an end":          func(string) string { return "x HTTP/1.1\r\nHost: wrong\r\n\r\n" + message },
		"many messages":   func(string) string { return strings.Repeat(message, 12) },
		"the truth but":   func(truth string) string { return change.Replace(truth) },
		"as long, but":    func(truth string) string { return (change.Replace(truth) + truth)[:len(truth)] },
		"less of it, but": func(truth string) string { return change.Replace(truth)[:(len(truth)+1)/2] },
		"no HTTP":         func(truth string) string { return strings.Repeat("\x00\xff", len(truth)) },
		"one byte":        func(string) string { return "\x00" },
		"a switch":        func(string) string { return "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" },
		"empty lines":     func(string) string { return "\r\n\r\n" },
	}
}

// forging puts a lie before or behind each true segment, or both.
func forging(true shape, forge func(*lab.Segment), lie func(string) string, before, behind bool) shape {
	return true.then(func(all []lab.Segment) (out []lab.Segment) {
		for _, s := range all {
			forged := lab.Segment{At: s.At, Data: []byte(lie(string(s.Data)))}
			forge(&forged)
			if before {
				out = append(out, forged)
			}
			out = append(out, s)
			if behind {
				out = append(out, forged)
			}
		}
		return out
	})
}

// conversations are dialogues of several kinds of messages.
func conversations() []*dialogue {
	mixed := &dialogue{name: "mixed"}
	mixed.say("GET", "/orders/17/items?q=1", "Accept: */*\r\n", "", 200, filler(700))
	mixed.say("POST", "/orders", "Content-Length: 300\r\n", filler(300), 201, "made")
	mixed.say("DELETE", "/orders/18", "", "", 204, "")
	mixed.say("PUT", "/x", "Content-Length: 1\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n", "x", 503, "")
	return []*dialogue{mixed, posted("/up", 1200, 1200), simple("/", 404)}
}

// forgeries are connections of all the ways to forge, in all that is said.
func forgeries(dialogues []*dialogue, server bool) (all []variant) {
	for _, d := range dialogues {
		for how, forge := range rejected {
			for what, lie := range lies(server) {
				for cut, truth := range map[string]shape{"whole": whole, "in 2s": cutAt(2, 4), "in 20s": every(20), "in 130s": every(130)} {
					n := len(all)
					all = append(all, variant{
						name: fmt.Sprintf("%s %s, %s: %s", d.name, cut, how, what), d: d, v6: n%5 == 0,
						shape: forging(truth, forge, lie, n%3 != 1, n%3 != 0),
					})
				}
			}
		}
	}
	return all
}

// What TCP does not take is not told, and what it takes is, whatever was said in its
// place before.
func TestStreamForged(t *testing.T) {
	s := newStage(t)
	dialogues := conversations()
	for _, d := range captured(t) {
		if slices.Contains([]string{"curl-h2c", "curl-websocket", "curl-connect", "curl-expect", "wrk-pipeline", "curl-trailers"}, d.name) {
			dialogues = append(dialogues, d)
		}
	}
	for _, server := range []bool{false, true} {
		all := forgeries(dialogues, server)
		for i := range all {
			all[i].asleep = true
		}
		s.play(server, all...)
	}
	s.nothingUnseen()
}

// While its program uses a socket, TCP does not decide at once: nobody can know what
// it takes of what came twice. Then some is unseen, and nothing is wrong.
func TestStreamForgedWhileBusy(t *testing.T) {
	s := newStage(t)
	for _, server := range []bool{false, true} {
		all := forgeries(conversations(), server)
		for i := range all {
			all[i].lossy = true
		}
		s.play(server, all...)
	}
	told := 0
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally }) {
		told += int(ev.Tally.Count)
	}
	if told < 1000 {
		t.Errorf("%d exchanges told: unseen %+v", told, s.unseen())
	}
}

// What comes while a socket is locked, TCP decides on later.
func TestStreamForgedWhileLocked(t *testing.T) {
	if err := role.CanStall(); err != nil {
		t.Skipf("needs a kernel that can stall a reading: %v", err)
	}
	s := newStage(t)
	d := many(4)
	one, two, three := d.turns[0].asked, d.turns[1].asked, d.turns[2].asked
	truth := lab.Segment{At: one, Data: d.requests[one:two]}
	half := (one + two) / 2
	first, second := lab.Segment{At: one, Data: d.requests[one:half]}, lab.Segment{At: half, Data: d.requests[half:two]}
	lie := func(s lab.Segment, forge func(*lab.Segment)) lab.Segment {
		s.Data = bytes.Replace(s.Data, []byte("users"), []byte("wrong"), 1)
		forge(&s)
		return s
	}
	// What TCP has taken says nothing more; a test of the test, too.
	all := []variant{{name: "the truth alone", d: d}, {name: "old bytes", d: d}}
	together := [][]lab.Segment{{truth}, {truth, {Data: d.requests[:one]}}}
	for how, forge := range rejected {
		for i, segments := range [][]lab.Segment{
			{truth, lie(truth, forge)}, {lie(truth, forge), truth}, {lie(truth, forge), truth, lie(truth, forge)}, {truth, truth},
			{first, lie(second, forge), second}, {first, second, lie(first, forge)}, {lie(first, forge), truth}, {truth, lie(second, forge)},
			{first, second, lie(truth, forge)}, {lie(truth, forge), first, second},
		} {
			all = append(all, variant{name: fmt.Sprintf("%s %d", how, i), d: d, lossy: true})
			together = append(together, segments)
		}
	}
	for i := range together {
		together[i] = append(together[i], lab.Segment{At: two, Data: d.requests[two:three]})
	}
	part := d.part(true)
	part.Stall = 400 * time.Millisecond
	server := s.host.Play(role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: s.write(role.Script{Parts: []role.Part{part}})})
	peers := make([]netip.Addr, len(all))
	for i := range peers {
		peers[i] = s.peer(false)
	}
	s.each(len(all), func(i int) error {
		p, err := s.wire.Dial(role.PartAddr(peers[i], 0), server.Addr, false)
		if err != nil {
			return err
		}
		if err := p.Asleep(0); err != nil {
			return err
		}
		if err := p.Send(lab.Segment{Data: d.requests[:one]}); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // by now its program reads
		if err := p.Send(together[i]...); err != nil {
			return err
		}
		if taken, _ := p.Room(); taken > one {
			return fmt.Errorf("%s: the socket was not locked", all[i].name)
		}
		if err := p.Taken(three); err != nil {
			return err
		}
		all[i].shape = whole
		if err := all[i].turns(p, false, 3, 4); err != nil {
			return err
		}
		return all[i].finish(p, false)
	})
	s.settle()
	server.Stop()
	s.compare(all, peers, flow.RoleServer, server.Addr.Port())
	if gap := s.unseen()["gap"]; gap.Stretches == 0 {
		t.Errorf("unseen %+v: it cannot have been known", s.unseen())
	}
}

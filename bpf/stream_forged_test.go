package bpf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
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
		if server {
			s.ask(all...)
		} else {
			s.serve(all...)
		}
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
		if server {
			s.ask(all...)
		} else {
			s.serve(all...)
		}
	}
	told := 0
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally }) {
		told += int(ev.Tally.Count)
	}
	if told < 1000 {
		t.Errorf("%d exchanges told: unseen %+v", told, s.unseen())
	}
}

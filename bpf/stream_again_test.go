package bpf

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// padded is a field that makes a head of n bytes of a GET of this path with it.
func padded(path string, n int) string {
	return "X: " + strings.Repeat("p", n-len("GET "+path+" HTTP/1.1\r\nHost: weir.test\r\nX: \r\n\r\n")) + "\r\n"
}

// headed is an exchange of HEAD, whose answer has a GET's head and no body.
func (d *dialogue) headed(path, answer string) *dialogue {
	d.say("HEAD", path, "", "", 200, answer)
	body, last := len(answer), len(d.each)-1
	d.responses = d.responses[:len(d.responses)-body]
	d.turns[last].answered -= body
	e := d.each[last]
	d.each[last].Response -= uint64(body)
	d.want = outcomes{}
	for _, e := range d.each {
		d.want.add(e.outcome, e.amount)
	}
	if e.Response < uint64(body) {
		panic("an answer shorter than its body")
	}
	return d
}

// again are dialogues in which heads come again, and in which nearly the same head means
// something else.
func again() (all []*dialogue) {
	lengths := &dialogue{name: "lengths around those that are kept"}
	for _, n := range []int{56, 57, 63, 64, 65, 111, 112, 113, 247, 248, 249, 254, 255, 256, 257, 263, 264, 265, 300} {
		for i := range 3 {
			lengths.say("GET", fmt.Sprintf("/%d", n), padded(fmt.Sprintf("/%d", n), n), "", 200, filler(n+i%2))
		}
	}
	asked := &dialogue{name: "one answer to GET and HEAD"}
	for i := range 12 {
		if i%3 == 2 {
			asked.headed("/same", "hello")
		} else {
			asked.say("GET", "/same", "", "", 200, "hello")
		}
	}
	last := &dialogue{name: "the last byte differs"}
	for i := range 24 {
		last.say("GET", "/last", fmt.Sprintf("X: %s%d\r\n", strings.Repeat("x", 40+i/4), i%4/2), "", 200+uint16(i%4/2), "")
	}
	bodies := &dialogue{name: "bodies"}
	for i := range 24 {
		body := filler(300 + i/6)
		bodies.say("POST", "/bodies/1", fmt.Sprintf("Content-Length: %d\r\n", len(body)), string(rune('a'+i))+body[1:], 201, filler(i/6))
	}
	traced := &dialogue{name: "traces"}
	for i := range 16 {
		traced.say("GET", fmt.Sprintf("/users/%d", i/8), fmt.Sprintf("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e473%d-00f067aa0ba902b7-01\r\n", i/4), "", 200, "{}")
	}
	cold := &dialogue{name: "cold and warm"}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 120 {
		path := "/warm"
		if i/30%2 == 1 || random.IntN(6) == 0 {
			path = fmt.Sprintf("/cold/%c%c", 'a'+random.IntN(26), 'a'+random.IntN(26))
		}
		cold.say("GET", path, "", "", 200, filler(random.IntN(3)))
	}
	return []*dialogue{lengths, asked, last, bodies, traced, cold}
}

// A head that comes again is not read again, and means what it meant.
func TestStreamHeadsAgain(t *testing.T) {
	s := newStage(t)
	var all []variant
	for _, d := range again() {
		for name, shape := range map[string]shape{
			"whole": whole, "whole, twice": shape(whole).then(twice), "cut at 20": cutAt(20), "in 64s": every(64), "in 200s": every(200), "in 255s": every(255), "in 256s, twice": every(256).then(twice), "overlapping": overlapping(90),
		} {
			for _, v6 := range []bool{false, true} {
				all = append(all, variant{name: d.name + ", " + name, d: d, shape: shape, v6: v6, asleep: true})
			}
		}
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

// What was forged leaves nothing behind that a true head could be taken for.
func TestStreamHeadsAgainForged(t *testing.T) {
	s := newStage(t)
	var few []*dialogue
	for _, d := range again() {
		if d.name != "lengths around those that are kept" && d.name != "cold and warm" {
			few = append(few, d)
		}
	}
	for _, server := range []bool{false, true} {
		all := forgeries(few, server)
		if testing.Short() {
			for i := range len(all) / 7 {
				all[i] = all[7*i]
			}
			all = all[:len(all)/7]
		}
		for i := range all {
			all[i].asleep = true
		}
		s.play(server, all...)
	}
	s.nothingUnseen()
}

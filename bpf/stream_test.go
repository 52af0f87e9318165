package bpf

import (
	"fmt"
	"slices"

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
		if v.asleep && v.late && i == 0 && len(segments) > 1 && segments[0].At+len(segments[0].Data) < ends[i] {
			// Its first segment made the socket, which its program is about to ready.
			if err := p.Send(segments[0]); err != nil {
				return err
			}
			if err := v.sleeps(p, i, server); err != nil {
				return fmt.Errorf("%s, turn %d: %w", v.name, i, err)
			}
			segments = segments[1:]
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

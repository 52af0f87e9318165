package aggregate

import "github.com/seed79351815/weir/collector/flow"

// tomb remembers a socket's flow that has left the table.
type tomb struct {
	hash    uint64 // of the socket, 64 bits: two that share it are not to be expected
	ended   int64
	packets uint64 // of the whole flow, as they were told
	next    uint32 // 1 + place of the next in the bucket; 0 is none
	lost    bool   // it left without having ended
}

// tombs are the newest of them, so that a report that comes late does not bring
// a flow back. Their number is bounded: the newest takes the oldest one's place.
type tombs struct {
	ring  []tomb
	place int // of the oldest, once the ring is full
	heads []uint32
}

func newTombs(n int) tombs {
	n = max(n, 16)
	size := 16
	for size < n {
		size *= 2
	}
	return tombs{ring: make([]tomb, 0, n), heads: make([]uint32, size)}
}

func (t *tombs) bucket(h uint64) *uint32 { return &t.heads[h&uint64(len(t.heads)-1)] }

func (t *tombs) add(h uint64, b tomb) {
	if len(t.ring) < cap(t.ring) {
		t.place = len(t.ring)
		t.ring = append(t.ring, tomb{})
	} else {
		if t.place++; t.place >= len(t.ring) {
			t.place = 0
		}
		t.remove(uint32(t.place) + 1)
	}
	head := t.bucket(h)
	b.hash, b.next = h, *head
	t.ring[t.place] = b
	*head = uint32(t.place) + 1
}

func (t *tombs) remove(n uint32) {
	for p := t.bucket(t.ring[n-1].hash); *p != 0; p = &t.ring[*p-1].next {
		if *p == n {
			*p = t.ring[n-1].next
			return
		}
	}
}

// tombVerdict says what to make of a report by a socket without a flow.
type tombVerdict uint8

const (
	tombNone     tombVerdict = iota // nothing is known: a new flow
	tombLate                        // its flow has ended, and this adds nothing
	tombLateNews                    // its flow has ended without all of these packets
	tombRevived                     // its flow was given up, but lives
)

func (t *tombs) meet(h uint64, s *flow.Socket) tombVerdict {
	for n := *t.bucket(h); n != 0; n = t.ring[n-1].next {
		b := &t.ring[n-1]
		switch {
		case b.hash != h:
		case b.lost && s.Start <= b.ended:
			return tombRevived
		case s.Start > b.ended:
			return tombNone
		case s.Sent.Packets+s.Received.Packets > b.packets:
			return tombLateNews
		default:
			return tombLate
		}
	}
	return tombNone
}

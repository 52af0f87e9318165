package hubble

import (
	"sync"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// reasonSlow counts what a follower had no time for.
const reasonSlow = "follower_slow"

// queueRecords bounds a follower's queue: some 3 MB packed.
const queueRecords = 32_768

// follower is the queue between the observer and one client that follows.
type follower struct {
	updates bool // wants the updates of living flows too
	tallies bool // and what was counted of exchanges
	ready   chan struct{}

	mu     sync.Mutex
	queue  []*pack.Batch
	queued int // records in queue
	lost   span
}

// span is a number of lost events, and when they were lost.
type span struct {
	n           uint64
	first, last time.Time
}

func (s *span) add(n uint64, first, last time.Time) {
	if n == 0 {
		return
	}
	if s.n == 0 {
		s.first = first
	}
	s.n += n
	s.last = last
}

func newFollower(w Want) *follower {
	return &follower{updates: w.Updates, tallies: w.Tallies || w.More, ready: make(chan struct{}, 1)}
}

// of is how many of n the follower wants.
func (f *follower) of(n counts) int {
	want := n.events
	if f.updates {
		want += n.updates
	}
	if f.tallies {
		want += n.tallies
	}
	return want
}

// wants tells whether record i of b is one for the follower.
func (f *follower) wants(b *pack.Batch, i int) bool {
	if b.Kind(i) == flow.RecordUpdate {
		return f.updates
	}
	return f.tallies || !b.Tally(i)
}

// offer queues b, of which the follower wants want records, or drops it where
// there is no room. It does not block.
func (f *follower) offer(b *pack.Batch, want int, now time.Time) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queued > 0 && f.queued+b.Len() > queueRecords {
		f.lost.add(uint64(want), now, now)
		return false
	}
	f.queue = append(f.queue, b)
	f.queued += b.Len()
	select {
	case f.ready <- struct{}{}:
	default:
	}
	return true
}

// take empties the queue.
func (f *follower) take() []*pack.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queue
	f.queue, f.queued = nil, 0
	return q
}

// takeLost gives what was lost since the last call.
func (f *follower) takeLost() span {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.lost
	f.lost = span{}
	return s
}

package merge

import (
	"log/slog"
	"math"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	// window is how long records wait for others like them.
	window = 5 * time.Second
	// maxKinds are told apart in a window; beyond it less of each is looked at.
	maxKinds = 512
	// spared is how many times the budget failures and what is new or slow have for
	// themselves.
	spared = 5
)

// Tell is called with each record that is to be told. It must not keep the pointer.
type Tell func(*flow.Record)

// Merger merges records of flows that begin and end, and exchanges. It is used by one
// goroutine at a time, and starts none.
type Merger struct {
	budget uint64
	log    *slog.Logger
	said   bool

	second    time.Time // when the present second began
	ordinary  uint64    // records of it that nothing is special about, told or not
	told      uint64    // of them, as they are
	notable   uint64    // records that are not ordinary, told as they are
	threshold uint64    // of an ordinary record's hash: those up to it are told as they are

	begun   time.Time // when the present window began
	kinds   map[kind]*group
	waiting int // records in them
	free    []*group
}

// group is records of one kind that wait.
type group struct {
	first flow.Record
	n     uint64
	sum   flow.Delta // of flows' own counters
	drops uint64
}

// New is a Merger that tells budget records a second as they are, and of those that
// fail, are new or slow five times as many besides; without a budget it tells all. The
// logger, which may be nil, is told once, when there first is something to merge.
func New(budget int, log *slog.Logger) *Merger {
	return &Merger{budget: uint64(max(budget, 0)), log: log, threshold: math.MaxUint64, kinds: make(map[kind]*group)}
}

// Add takes a record at a time of the caller's, which does not go back, and tells what
// there is to tell: this record, or others that have waited long enough.
func (m *Merger) Add(r *flow.Record, now time.Time, tell Tell) {
	if m.budget == 0 || !mergeable(r) {
		tell(r)
		return
	}
	m.Tick(now, tell)
	if m.asItIs(r) {
		tell(r)
		return
	}
	g, known := m.group(r)
	if !known {
		tell(r)
		return
	}
	g.add(r)
	m.waiting++
	m.say()
}

// Tick tells the records that have waited long enough. Whoever calls Add seldom calls
// it every second or so.
func (m *Merger) Tick(now time.Time, tell Tell) {
	if m.second.IsZero() {
		m.second, m.begun = now, now
	}
	if passed := now.Sub(m.second); passed >= time.Second {
		m.threshold = math.MaxUint64
		if m.ordinary > m.budget && passed < 2*time.Second { // this one will be like that
			m.threshold = uint64(float64(m.budget) / float64(m.ordinary) * math.MaxUint64)
		}
		m.second, m.ordinary, m.told, m.notable = now, 0, 0, 0
	}
	if now.Sub(m.begun) >= window {
		m.Flush(tell)
		m.begun = now
	}
}

// Flush tells all that waits.
func (m *Merger) Flush(tell Tell) {
	for _, g := range m.kinds {
		if g.n > 0 {
			tell(g.record())
		}
		*g = group{}
		m.free = append(m.free, g)
	}
	clear(m.kinds)
	m.waiting = 0
}

// Waiting is how many records wait to be told.
func (m *Merger) Waiting() int { return m.waiting }

// asItIs tells whether there is room for a record as it is. On a busy host it is for
// a part of the flows, each from its beginning to its end.
func (m *Merger) asItIs(r *flow.Record) bool {
	if notable(r) {
		m.notable++
		return m.notable <= m.budget*spared
	}
	m.ordinary++
	if m.told >= m.budget || hash(r) > m.threshold {
		return false
	}
	m.told++
	return true
}

// group is that of the record's kind, and whether there was one of its kind before.
func (m *Merger) group(r *flow.Record) (g *group, known bool) {
	k := kindOf(r)
	if g, known = m.kinds[k]; known {
		return g, true
	}
	if len(m.kinds) >= maxKinds {
		k = k.widened(len(m.kinds) >= 2*maxKinds)
		if g, known = m.kinds[k]; known {
			return g, true
		}
	}
	if n := len(m.free); n > 0 {
		g, m.free = m.free[n-1], m.free[:n-1]
	} else {
		g = new(group)
	}
	m.kinds[k] = g
	return g, false
}

func (m *Merger) say() {
	if !m.said && m.log != nil {
		m.said = true
		m.log.Info("there are more flows a second than are written down one by one: those that are alike are merged and counted", "each_second", m.budget)
	}
}

func (g *group) add(r *flow.Record) {
	if g.n == 0 {
		g.first = *r // a record is large: not each is copied
	}
	g.n += 1 + r.More
	g.sum.Sent.Add(r.Flow.Sent)
	g.sum.Received.Add(r.Flow.Received)
	g.sum.Retransmits += r.Flow.Retransmits
	g.drops += r.Flow.Drops
}

// record is the first one, with the numbers of all.
func (g *group) record() *flow.Record {
	r := &g.first
	r.More = g.n - 1
	r.Flow.Sent, r.Flow.Received, r.Flow.Retransmits, r.Flow.Drops = g.sum.Sent, g.sum.Received, g.sum.Retransmits, g.drops
	return r
}

// hash is the same for all records of a flow, and as good as random.
func hash(r *flow.Record) uint64 {
	n := r.Flow.ID
	if r.L7 != nil {
		n = uint64(r.L7.Exchange.Start) ^ r.L7.Exchange.ConnID
	}
	n = (n ^ n>>33) * 0xff51afd7ed558ccd // MurmurHash3's finalizer
	n = (n ^ n>>33) * 0xc4ceb9fe1a85ec53
	return n ^ n>>33
}

package aggregate

import (
	"hash/maphash"
	"maps"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// Times that shape a flow's records, in the table's time.
const (
	settleTime   = 200 * time.Millisecond // a start waits so long for the other end and for names
	patience     = time.Second            // and so long while a workload is Pending
	lingerTime   = time.Second            // an end waits so long for the other end's
	updateEvery  = time.Second            // a changed flow gives one update in this time
	scanEvery    = 250 * time.Millisecond // the table looks for what is due so often
	scanAgain    = 20 * time.Millisecond  // or so soon, when it left something undone
	updatesAScan = 8192                   // so many updates at once, to spare the sinks' queues

	// Sources tell every living flow once a minute, changed or not: one that was
	// not heard of for this long is gone, and its end was lost.
	lostAfter = 5 * time.Minute
	// A leap of time says nothing about a single flow (the host slept, the
	// recording has a gap): it counts as no more than this.
	maxSilence = 90 * time.Second
)

// DefaultMaxFlows is the bound of a table whose Config names none.
const DefaultMaxFlows = 131072

// Config bounds a Table.
type Config struct {
	MaxFlows int       // flows at one time; DefaultMaxFlows
	L7       l7.Config // what is told of exchanges
}

// Emit takes a batch of records over and gives an empty one back to fill. It is
// called by the table's owner, inside Apply, Tick and Drain.
type Emit func(full []flow.Record) (empty []flow.Record)

// Stats is a Table's account. All but Flows and L7.Held only grow.
type Stats struct {
	Events  uint64
	Records uint64
	Flows   int
	Evicted uint64 // flows that left before their time, for want of room
	Late    uint64 // reports of packets that came after their flow's end record
	Unheard uint64 // listening ports beyond the bound
	L7      l7.Stats
}

// Lost is the account in weir_lost_total's terms.
func (s Stats) Lost() map[flow.Loss]uint64 {
	lost := map[flow.Loss]uint64{
		{Stage: "aggregate", Reason: "table_full"}:     s.Evicted,
		{Stage: "aggregate", Reason: "late"}:           s.Late,
		{Stage: "aggregate", Reason: "listeners_full"}: s.Unheard,
	}
	maps.Copy(lost, s.L7.Lost())
	return lost
}

// Table makes records of events. One goroutine owns it: no method is safe beside
// another. Once the table has grown to its load only exchanges and their tallies
// allocate: what a sink may keep of them.
type Table struct {
	identity   Identity
	emit       Emit
	out        []flow.Record
	max        int
	slab       slab
	hash       hasher
	sockets    index // ends, by cookie (and tuple)
	views      index // ends and translated entries, by tuple
	conns      index // entries, by ConnID
	tombs      tombs
	listeners  listeners
	reasons    reasons
	now        int64 // the latest time that an event or Tick told
	idle       int64 // now, with long silences cut short: what lostAfter is counted in
	due        int64 // when work waits: settling, pending, closing, scan
	settling   queue // entries by their creation
	pending    queue // entries that settled, but for a Pending workload, by creation
	closing    queue // entries by their first close
	dirty      []ref // changed since their last record
	nextScan   int64
	sweep      uint32 // next slot to look the identities of up again; 0 is none
	generation uint64
	lastID     uint64
	l7         exchanges
	stats      Stats
}

// NewTable makes an empty table. EmitTo must be called before anything else.
func NewTable(cfg Config, id Identity) *Table {
	if cfg.MaxFlows <= 0 {
		cfg.MaxFlows = DefaultMaxFlows
	}
	t := &Table{
		identity: id, max: cfg.MaxFlows, slab: newSlab(), hash: hasher{maphash.MakeSeed()},
		tombs: newTombs(cfg.MaxFlows / 2), listeners: newListeners(), reasons: newReasons(),
		generation: id.Generation(),
	}
	t.l7 = exchanges{book: l7.NewBook(cfg.L7, t.told), behind: behind{}, own: map[ownPort]struct{}{}}
	t.sockets = newIndex(cfg.MaxFlows, func(n node) *node { return &t.slab.at(n.slot()).ends[n.side()].nextSock })
	t.conns = newIndex(cfg.MaxFlows, func(n node) *node { return &t.slab.at(n.slot()).nextConn })
	t.views = newIndex(cfg.MaxFlows, func(n node) *node {
		if e := t.slab.at(n.slot()); n.side() == whole {
			return &e.nextXlated
		} else {
			return &e.ends[n.side()].nextView
		}
	})
	return t
}

// EmitTo sets where records go, and gets the first batch from there.
func (t *Table) EmitTo(emit Emit) { t.emit, t.out = emit, emit(nil) }

// Stats is the table's account at this moment.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Flows = t.slab.used
	s.L7 = t.l7.book.Stats()
	return s
}

// Apply takes events in the order in which they came. The batch is the caller's
// again when it returns.
func (t *Table) Apply(batch []flow.Event) {
	for i := range batch {
		ev := &batch[i]
		t.advance(ev.Time)
		switch ev.Kind {
		case flow.KindUpdate, flow.KindOpen, flow.KindClose:
			t.socket(ev)
		case flow.KindTally:
			t.tally(ev)
		case flow.KindExchange:
			t.exchange(ev)
		case flow.KindListen:
			t.serves(&ev.Socket)
			if !t.listeners.add(&ev.Socket) {
				t.stats.Unheard++
			}
		case flow.KindDrop:
			t.drop(ev)
		case flow.KindVerdict:
			t.judged(ev)
		case flow.KindCgroupCreated, flow.KindCgroupRemoved, flow.KindDNS, flow.KindWorkload:
			t.identity.Observe(ev)
		}
	}
	t.stats.Events += uint64(len(batch))
}

// Tick moves the table's time on to now (ns since the Unix epoch) where that is
// later than its latest event, does what is due, and hands out the records made
// so far. It returns after how long it wants to be called again.
func (t *Table) Tick(now int64) time.Duration {
	t.advance(now)
	t.Flush()
	return time.Duration(max(int64(scanAgain), min(t.nextScan-t.now, int64(scanEvery))))
}

// Flush hands out the records made so far.
func (t *Table) Flush() {
	if len(t.out) > 0 {
		t.stats.Records += uint64(len(t.out))
		t.out = t.emit(t.out)
	}
}

// Drain makes the records that were held back: at the end of the events nothing
// better will come. Living flows get an update, not an end.
func (t *Table) Drain() {
	for _, q := range []*queue{&t.settling, &t.pending, &t.closing} {
		for q.len() > 0 {
			r := q.pop().ref
			if e := t.slab.get(r); e != nil {
				t.begin(r.slot, e)
			}
			if e := t.slab.get(r); e != nil && (e.ends[client].closed || e.ends[server].closed) {
				t.finish(r.slot, e)
			}
		}
	}
	for _, r := range t.dirty {
		if e := t.slab.get(r); e != nil {
			e.dirty = false
			t.tell(e, flow.RecordUpdate)
		}
	}
	t.dirty = t.dirty[:0]
	t.drainL7()
	t.Flush()
}

package l7

import (
	"math"
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// Bounds of a Book.
const (
	maxNames  = 16384 // operations; the kernel tells one again that was not told for a minute
	maxSites  = 1024  // servers whose paths are known
	maxForest = 32768 // segments of all of them
	maxRoutes = 16384 // templates at hand, by server and operation
	maxHeld   = 4096  // tallies that wait for their operation's name
	maxText   = 255   // bytes of a path or name: the kernel keeps fewer, a recording may not

	// An exchange goes by the ring at once, a tally with the next reading; but the
	// ring may be read later than the tables.
	patience = 3 * time.Second
)

// Config shapes a Book.
type Config struct {
	Unredacted bool // exchanges keep their paths as they were sent; templates never do
}

// Name is an operation in words; see flow.L7. The zero value is an operation that
// was never told.
type Name struct {
	Method, Route, Rule string
}

// Told is a thing that a Book gives: a tally or an exchange, never both, and what
// it is of.
type Told struct {
	At       int64 // the event's time, ns since the Unix epoch
	Tally    *flow.Tally
	Exchange *flow.Exchange
	Name     Name
}

// Stats is a Book's account. All but Held only grow.
type Stats struct {
	Exchanges uint64 // that were told in full
	Tallied   uint64 // exchanges that tallies counted
	Unnamed   uint64 // of them, those whose operation was not told in time
	Other     uint64 // of them, those that went to OtherRoute
	Ambiguous uint64 // operations whose number stands for two things
	Held      int    // tallies that wait
}

// Lost is the account in weir_lost_total's terms.
func (s Stats) Lost() map[flow.Loss]uint64 {
	return map[flow.Loss]uint64{{Stage: "l7", Reason: "routes_full"}: s.Other}
}

// Book knows what operations' numbers stand for. It is owned by one goroutine, has
// no clock but what it is told, and never blocks. What it holds is bounded; what
// has no room is given without its name, not kept back.
type Book struct {
	cfg     Config
	give    func(*Told)
	names   names
	sites   map[server]*site
	forest  int // nodes of all sites
	routes  map[routeKey]templated
	waiting []wait // operations with tallies that wait, by when they are given up
	now     int64
	tick    int64 // grows with every look at a site
	scratch []*node
	told    Told
	stats   Stats
}

// wait is an operation whose name is awaited.
type wait struct {
	key   nameKey
	until int64
}

// server is whose paths a tree holds: a cgroup's, else an address's.
type server struct {
	cgroup uint64
	addr   netip.Addr
	port   uint16
}

type routeKey struct {
	server
	Operation flow.Operation
}

// templated is a path's template as of a version of its site.
type templated struct {
	site        *site
	route, rule string
	version     uint32
	exists      bool
}

// NewBook makes an empty Book. It calls give from within its methods, with all
// that it was told, once each; the Told is the Book's again when give returns, what
// it points to is not.
func NewBook(cfg Config, give func(*Told)) *Book {
	return &Book{
		cfg: cfg, give: give, names: newNames(), sites: map[server]*site{}, routes: map[routeKey]templated{},
	}
}

// Stats is the account at this moment.
func (b *Book) Stats() Stats { return b.stats }

// Exchange takes an exchange that happened at a time, learns from it, and gives it
// at once; then the tallies that waited for its operation's name.
func (b *Book) Exchange(at int64, x *flow.Exchange) {
	b.now = max(b.now, at)
	b.stats.Exchanges++
	var n Name
	key := nameKey{x.Protocol, x.Operation}
	e := b.names.get(key)
	if row := Of(x.Protocol); row != nil {
		own, says := row.words(x)
		own = bounded(own)
		switch {
		case says && (e == nil || !e.known):
			if x.Operation != 0 {
				e = b.learn(key, own)
			}
		case says && !e.ambiguous && !e.words.like(own):
			e.ambiguous = true
			b.stats.Ambiguous++
		}
		switch {
		case e != nil && e.known && !e.ambiguous:
			n = b.name(&x.Counted, e.words, x.Status)
		case says:
			n = b.unkept(&x.Counted, own, x.Status)
		}
	}
	if !b.cfg.Unredacted {
		x = Redacted(x)
	}
	b.told = Told{At: at, Exchange: x, Name: n}
	b.give(&b.told)
	if e != nil && e.known && e.awaited {
		b.release(e)
	}
}

// Tally takes a tally, and gives it at once, or when its operation's name is known
// or was awaited long enough.
func (b *Book) Tally(at int64, t *flow.Tally) {
	b.now = max(b.now, at)
	key := nameKey{t.Protocol, t.Operation}
	if t.Operation == 0 || Of(t.Protocol) == nil {
		b.tally(at, t, nil)
		return
	}
	full := b.stats.Held >= maxHeld || len(b.waiting) >= maxHeld
	e := b.names.get(key)
	if e == nil && !full {
		e = b.enter(key)
		e.awaited = true
		b.waiting = append(b.waiting, wait{key, b.now + int64(patience)})
	}
	if full || !e.awaited {
		b.tally(at, t, e)
		return
	}
	e.held = append(e.held, held{at, t})
	b.stats.Held++
}

// Advance moves the Book's time on, and gives what has waited long enough.
func (b *Book) Advance(now int64) {
	b.now = max(b.now, now)
	b.until(b.now)
}

// Drain gives all that waits.
func (b *Book) Drain() { b.until(math.MaxInt64) }

func (b *Book) until(end int64) {
	n := 0
	for n < len(b.waiting) && b.waiting[n].until <= end {
		if e := b.names.get(b.waiting[n].key); e != nil && e.awaited {
			b.release(e)
		}
		n++
	}
	if n > 0 {
		b.waiting = b.waiting[:copy(b.waiting, b.waiting[n:])]
	}
}

// Due is when Advance has something to do; far off where nothing waits.
func (b *Book) Due() int64 {
	if len(b.waiting) == 0 {
		return math.MaxInt64
	}
	return b.waiting[0].until
}

// learn notes what an operation is.
func (b *Book) learn(key nameKey, w words) *entry {
	e := b.enter(key)
	e.known, e.words = true, w.kept()
	return e
}

// enter is an operation's entry, made in the place of one that was not asked for
// of late.
func (b *Book) enter(key nameKey) *entry {
	e, evicted := b.names.put(key)
	if evicted != nil {
		b.release(evicted)
		*evicted = entry{key: key}
	}
	return e
}

// release gives the tallies that wait for an operation, named or not.
func (b *Book) release(e *entry) {
	e.awaited = false
	waiting := e.held
	e.held = nil
	b.stats.Held -= len(waiting)
	for _, w := range waiting {
		b.tally(w.at, w.tally, e)
	}
}

func (b *Book) tally(at int64, t *flow.Tally, e *entry) {
	b.told = Told{At: at, Tally: t}
	b.stats.Tallied += t.Count
	switch {
	case e == nil || !e.known:
		b.stats.Unnamed += t.Count
	case e.ambiguous:
		b.told.Name = Name{Method: e.words.method}
	default:
		b.told.Name = b.name(&t.Counted, e.words, t.Status)
		if b.told.Name.Rule == RuleOther {
			b.stats.Other += t.Count
		}
	}
	b.give(&b.told)
}

package baseline

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// stage is what a Learner's losses are counted under.
const stage = "baseline"

// Config is what a Learner needs. The zero value keeps nothing on disk.
type Config struct {
	Path string           // the file that what was learned is kept in; "" keeps it in memory alone
	Now  func() time.Time // time.Now when nil
	// Recorded says that the records are of another time, which they tell: for
	// recordings. Now is not used then.
	Recorded bool
	Logger   *slog.Logger // slog.Default() when nil
}

// Learner is a collector.Sink that learns while a window is open. It is safe for
// concurrent use.
type Learner struct {
	cfg Config

	mu       sync.Mutex
	taker    *taker
	before   account // the pipeline's, when it was last observed
	observed bool    // it was, in this run
	dirty    bool    // something is not on disk
	latest   int64   // time of the latest record, where that is the clock
	aside    *SetAside

	saving sync.Mutex // one writer of the file at a time
}

// ErrLearning and ErrNotLearning say that a window is open already, or that none is.
var (
	ErrLearning    = errors.New("learning already")
	ErrNotLearning = errors.New("not learning")
)

// Open makes a Learner of what is kept in Config.Path. A file that cannot be
// understood is renamed, never overwritten, and told by Status. A window that was
// open goes on; the time since it was last saved is counted as not seen. An error
// is one of the file system.
func Open(cfg Config) (*Learner, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	b, aside, err := load(cfg.Path, cfg.Now())
	if err != nil {
		return nil, err
	}
	if aside != nil {
		cfg.Logger.Warn("baseline set aside", "file", aside.Path, "reason", aside.Reason)
	}
	l := &Learner{cfg: cfg, taker: newTaker(b), aside: aside}
	if w := b.last(); w != nil {
		now := l.now()
		w.interrupted(now)
		l.dirty = true
		l.expire(now)
	}
	return l, nil
}

// Name is the stage of the learner's losses.
func (l *Learner) Name() string { return stage }

// Consume takes records in while a window is open. It keeps none of them and
// never fails.
func (l *Learner) Consume(_ context.Context, batch []flow.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.taker.last()
	if w == nil {
		return nil
	}
	if l.cfg.Recorded {
		l.follow(batch, w)
	}
	if l.expire(l.now()) {
		return nil
	}
	for i := range batch {
		l.taker.take(&batch[i])
	}
	l.dirty = true
	return nil
}

// now is the time, ns since the Unix epoch; 0 before the first record of a recording.
func (l *Learner) now() int64 {
	if l.cfg.Recorded {
		return l.latest
	}
	return l.cfg.Now().UnixNano()
}

// follow moves the time of a recording on. A window that was opened before its
// first record begins with that.
func (l *Learner) follow(batch []flow.Record, w *Window) {
	first := int64(math.MaxInt64)
	for i := range batch {
		first = min(first, batch[i].Time)
		l.latest = max(l.latest, batch[i].Time)
	}
	if w.Start == 0 && len(batch) > 0 {
		w.Start = max(first, 1)
		if w.Until != 0 {
			w.Until += w.Start
		}
	}
	w.Alive = max(w.Alive, w.Start, l.latest)
}

// Start opens a window. A duration above 0 ends it by itself. What was learned
// before stays, and is added to. It is ErrLearning where one is open. Connections
// that rest tell nothing of themselves: whoever starts may give the living ones
// to Consume, see collector.Living.
func (l *Learner) Start(d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	if l.taker.last() != nil {
		return ErrLearning
	}
	w := Window{Start: now, Alive: now}
	if d > 0 {
		w.Until = now + int64(d)
	}
	l.taker.open(w)
	l.dirty = true
	return nil
}

// Stop closes the window. It is ErrNotLearning where none is open.
func (l *Learner) Stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	w := l.taker.last()
	if w == nil {
		return ErrNotLearning
	}
	now = max(now, w.Start) // clocks are set back at times
	w.End, w.Alive = now, now
	l.dirty = true
	return nil
}

// Forget begins anew: what was learned and all windows but the open one go.
func (l *Learner) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := newBaseline()
	b.Host = l.taker.Host
	if w := l.taker.last(); w != nil {
		now := l.now()
		b.open(Window{Start: now, Alive: now, Until: w.Until})
	}
	lost := l.taker.lost
	l.taker, l.dirty = newTaker(b), true
	l.taker.lost = lost
}

// expire closes a window whose time is over, and tells whether it did.
func (l *Learner) expire(now int64) bool {
	w := l.taker.last()
	if w == nil || w.Until == 0 || now < w.Until {
		return false
	}
	w.End, w.Alive = w.Until, w.Until
	l.dirty = true
	return true
}

// Observe takes the pipeline's account, so that the window knows what was lost in
// it. It is to be called at intervals, and before Start and Stop: what was lost
// since the call before is the open window's. What was lost before the first call
// of all is so only where the pipeline began within the window.
func (l *Learner) Observe(h collector.Health) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := accountOf(&h)
	if w := l.taker.last(); w != nil {
		if l.observed || h.Since >= w.Start {
			a.since(l.before, w)
		}
		now := l.now()
		if !l.expire(now) {
			w.Alive = max(w.Alive, now)
		}
		l.dirty = true
	}
	l.before, l.observed = a, true
}

// Meet tells the Learner of the host, whose addresses name whoever shares them, at
// the start and when they change. Other workloads it knows by their flows.
func (l *Learner) Meet(host *flow.Workload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taker.meet(host)
	l.dirty = true
}

// Lost is what this Learner could not keep, in weir_lost_total's terms.
func (l *Learner) Lost() map[flow.Loss]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := map[flow.Loss]uint64{}
	for _, reason := range [...]string{MissedProfiles, MissedContacts, MissedOperations} {
		lost[flow.Loss{Stage: stage, Reason: reason}] = l.taker.lost[reason]
	}
	return lost
}

// Run observes and saves every so often until ctx ends, and once more then. A
// file that cannot be written is logged and tried again.
func (l *Learner) Run(ctx context.Context, every time.Duration, health func() collector.Health) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		done := false
		select {
		case <-ctx.Done():
			done = true
		case <-ticker.C:
		}
		l.Observe(health())
		if err := l.Save(); err != nil {
			l.cfg.Logger.Warn("baseline not saved", "error", err)
		}
		if done {
			return
		}
	}
}

package identity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// lookupSteps are the pauses between attempts to name a container: it is there
// before its runtime admits it. The last step is repeated until giveUp.
var lookupSteps = []time.Duration{0, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond}

// lookupTimeout bounds one question to a runtime.
const lookupTimeout = 2 * time.Second

// lookups runs the background questions: one goroutine for each thing that is
// looked up, bounded in number.
type lookups struct {
	refused atomic.Uint64 // there were too many; a resync asks again

	mu      sync.Mutex
	ctx     context.Context // nil before Run and after
	wg      *sync.WaitGroup
	running map[any]bool
}

func (l *lookups) start(ctx context.Context, wg *sync.WaitGroup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx, l.wg, l.running = ctx, wg, map[any]bool{}
}

func (l *lookups) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx = nil
}

// spawn runs f in the background unless the same key is being looked up.
func (l *lookups) spawn(key any, f func(ctx context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil || l.ctx.Err() != nil || l.running[key] {
		return
	}
	if len(l.running) >= maxLookups {
		l.refused.Add(1)
		return
	}
	l.running[key] = true
	ctx := l.ctx
	l.wg.Go(func() {
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.running, key)
		}()
		f(ctx)
	})
}

// retry calls f at the steps' pace until it is done, ctx ends, or it is time to
// give up; then it is false.
func retry(ctx context.Context, f func() (done bool)) bool {
	start := time.Now()
	for i := 0; ; i++ {
		if !sleep(ctx, lookupSteps[min(i, len(lookupSteps)-1)]) {
			return false
		}
		if f() {
			return true
		}
		if time.Since(start) >= giveUp {
			return false
		}
	}
}

// once calls f one time.
func once(_ context.Context, f func() (done bool)) bool { return f() }

// lookup names a container, by its group's key, at the given pace.
func (r *Resolver) lookup(key string, pace func(context.Context, func() bool) bool) {
	r.lookups.spawn(key, func(ctx context.Context) {
		pace(ctx, func() bool {
			r.readFiles(key)
			r.askSources(ctx, key)
			done := false
			r.change(func(t *table) { done = t.settled(key) })
			return done
		})
		r.change(func(t *table) { t.setPending(key, false) })
	})
}

// readFiles takes what the runtimes' files say, while no runtime has said more.
func (r *Resolver) readFiles(key string) {
	for _, c := range (files{r.cfg.HostRoot}).lookup(key) {
		r.change(func(t *table) { t.learn(c, time.Now()) })
	}
}

// askSources asks the connected runtimes for a container.
func (r *Resolver) askSources(ctx context.Context, key string) {
	for _, s := range r.connected() {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		err := s.rt.Lookup(ctx, key, s)
		cancel()
		if err != nil && !errors.Is(err, errNotFound) {
			r.cfg.Logger.Debug("look-up failed", "runtime", s.name, "container", shortID(key), "error", err)
		}
	}
}

// settled tells whether a group needs no further look-up: whoever made the
// container has spoken, or it is gone.
func (t *table) settled(key string) bool {
	g := t.groups[key]
	if g == nil {
		return true
	}
	k := t.known[g.entries[0].place.container]
	return k != nil && k.c.named() && k.c.trust >= trustFile && k.c.trust != trustEvent // an event has no addresses
}

// resolve finds the path of a cgroup of which only the id is known.
func (r *Resolver) resolve(id uint64) {
	if r.tree.root == "" {
		return
	}
	r.lookups.spawn(id, func(ctx context.Context) {
		retry(ctx, func() bool {
			path, err := r.tree.path(id)
			if err == nil {
				r.created(id, path)
				return true
			}
			if errors.Is(err, unix.EPERM) { // without CAP_DAC_READ_SEARCH: look at all, now and then
				if time.Since(time.Unix(0, r.walked.Load())) > time.Second {
					r.walk()
				}
			}
			known := false
			r.change(func(t *table) { e := t.entries[id]; known = e != nil && e.g != nil })
			return known || errors.Is(err, unix.ESTALE) // gone for good
		})
		r.change(func(t *table) { t.unresolved(id, false, time.Now()) })
	})
}

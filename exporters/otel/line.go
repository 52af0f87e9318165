package otel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound a signal's queue, as OpenTelemetry's batch processors have them.
type Limits struct {
	Queue int           // exchanges or flow records that wait
	Batch int           // of them, in one message
	Delay time.Duration // how long one waits for others, and a span for the one that it is to be below
}

// line is a bounded queue with a courier at its end. What is put is written into
// parcels at once: bytes wait, not records. The newest has no place where it is full.
// Any goroutine may put, one runs it.
type line struct {
	limits  Limits
	courier *courier
	packer  *packer       // its message method is the goroutine's that runs
	ready   func(*parcel) // does what is left to do before a parcel goes; may be nil
	full    atomic.Uint64 // in the signal's unit

	mu      sync.Mutex
	parcels []*parcel     // the oldest first; only the last may be open
	waiting int           // things put into them
	empty   *parcel       // to be filled next; may be nil
	size    int           // of the latest parcel that was filled, in bytes
	news    chan struct{} // that the first has come, or that there is a parcel more
}

func newLine(l Limits, c *courier, p *packer) *line {
	return &line{limits: l, courier: c, packer: p, news: make(chan struct{}, 1)}
}

// put has a thing written into a parcel, that is of so much weight in the signal's
// unit, and had better not go before it is ripe. It never waits for a receiver. What
// has no room is not written but counted, and put is false.
func (l *line) put(now, ripe time.Time, weight uint64, write func(*parcel)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting >= l.limits.Queue {
		l.full.Add(weight)
		return false
	}
	p := l.last(now)
	write(p)
	p.n++
	p.weight += weight
	if ripe.After(p.ripe) {
		p.ripe = ripe
	}
	l.waiting++
	if p.n == l.limits.Batch || p.full() {
		p.closed, l.size = true, len(p.wire)
		l.tell()
	}
	return true
}

// last is the parcel that is being filled.
func (l *line) last(now time.Time) *parcel {
	if n := len(l.parcels); n > 0 && l.parcels[n-1].takes(now) {
		return l.parcels[n-1]
	}
	p := l.empty
	l.empty = nil
	if p == nil {
		p = &parcel{wire: make(wire, 0, l.size+l.size/4)} // nearly all are alike
	}
	l.packer.begin(p)
	p.due = now.Add(l.limits.Delay)
	l.parcels = append(l.parcels, p)
	l.tell()
	return p
}

func (l *line) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// run sends what is put until ctx ends, then the rest until sending does.
func (l *line) run(ctx, sending context.Context) {
	for {
		p := l.next(ctx)
		if p == nil {
			return
		}
		if l.ready != nil {
			l.ready(p)
		}
		message := l.packer.message(p)
		weight := p.weight
		l.reuse(p)
		l.courier.deliver(ctx, sending, message, weight)
		message.Free()
	}
}

// next waits for a parcel that is to go. There is none when ctx has ended and nothing
// is left.
func (l *line) next(ctx context.Context) *parcel {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		now := time.Now()
		p, wait := l.take(now, ctx.Err() != nil)
		if p != nil || wait < 0 {
			return p
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-l.news:
		case <-ctx.Done():
		}
	}
}

// take takes the oldest parcel where it is time, and else tells how long to wait;
// below 0 where ctx has ended and nothing is left.
func (l *line) take(now time.Time, ended bool) (*parcel, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.parcels) == 0 {
		if ended {
			return nil, -1
		}
		return nil, time.Hour // there will be news
	}
	p := l.parcels[0]
	wait := time.Duration(0)
	if p.takes(now) {
		wait = p.due.Sub(now)
	}
	if l.waiting <= l.limits.Queue/2 {
		wait = max(wait, p.ripe.Sub(now))
	}
	if wait > 0 && !ended {
		return nil, wait
	}
	p.closed = true
	l.parcels = append(l.parcels[:0], l.parcels[1:]...)
	l.waiting -= p.n
	return p, 0
}

// reuse takes back a parcel whose message is made.
func (l *line) reuse(p *parcel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cap(p.wire) <= 2*maxMessage {
		l.empty = p
	}
}

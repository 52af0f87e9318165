package otel

import (
	"context"
	"sync/atomic"
	"time"
)

// Limits bound a signal's queue, as OpenTelemetry's batch processors have them.
type Limits struct {
	Queue int           // exchanges or flow records that wait
	Batch int           // of them, in one message
	Delay time.Duration // how long one waits for others, and a span for the one that it is to be below
}

// line is a bounded queue with a courier at its end: the newest has no place where
// it is full. Any goroutine may put, one runs it.
type line[T any] struct {
	limits  Limits
	queue   chan T
	full    atomic.Uint64
	weigh   func(*T) uint64    // in the signal's unit
	ripe    func(*T) time.Time // before which it had better wait, where the queue has room
	write   func(*parcel, *T)  // makes items of it
	parcel  *parcel
	item    T // the latest, which only the one that runs looks at
	courier *courier
}

// put never waits. What has no room is counted, and put is false.
func (l *line[T]) put(item *T) bool {
	select {
	case l.queue <- *item:
		return true
	default:
		l.full.Add(l.weigh(item))
		return false
	}
}

// run sends what is put until ctx ends, then the rest until sending does.
func (l *line[T]) run(ctx, sending context.Context) {
	for {
		n := l.gather(ctx)
		if n == 0 {
			return
		}
		message := l.parcel.message()
		l.courier.deliver(ctx, sending, message, n)
		message.Free()
	}
}

// gather fills the parcel, and weighs what is in it: nothing when ctx has ended and
// nothing is left.
func (l *line[T]) gather(ctx context.Context) (weight uint64) {
	var deadline <-chan time.Time
	for n := 0; n < l.limits.Batch && !l.parcel.full() && l.next(ctx, deadline); n++ {
		l.ripen(ctx)
		l.write(l.parcel, &l.item)
		weight += l.weigh(&l.item)
		if deadline == nil {
			t := time.NewTimer(l.limits.Delay)
			defer t.Stop()
			deadline = t.C
		}
	}
	var none T
	l.item = none // what it points to is not held
	return weight
}

// next takes an item. There is none when the deadline has come, or when ctx has
// ended and the queue is empty.
func (l *line[T]) next(ctx context.Context, deadline <-chan time.Time) bool {
	for {
		select {
		case l.item = <-l.queue:
			return true
		default:
		}
		if ctx.Err() != nil {
			return false
		}
		select {
		case l.item = <-l.queue:
			return true
		case <-deadline:
			return false
		case <-ctx.Done():
		}
	}
}

// ripen waits until it is time to look at the item.
func (l *line[T]) ripen(ctx context.Context) {
	if l.ripe == nil || len(l.queue) > cap(l.queue)/2 {
		return
	}
	wait := time.Until(l.ripe(&l.item))
	if wait <= 0 || ctx.Err() != nil {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

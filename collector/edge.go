package collector

import (
	"context"
	"sync/atomic"

	"github.com/seed79351815/weir/collector/flow"
)

// edge is the Out between a source and the aggregator: a queue of batches, and
// the empty ones on their way back.
type edge struct {
	queue   chan []flow.Event
	free    chan []flow.Event
	full    atomic.Uint64 // events for which the queue had no room
	stopped atomic.Uint64 // events that waited for room when the context ended
}

func newEdge(batches int) *edge {
	return &edge{queue: make(chan []flow.Event, batches), free: make(chan []flow.Event, batches+2)}
}

func (e *edge) Batch() []flow.Event {
	select {
	case b := <-e.free:
		return b[:0]
	default:
		return make([]flow.Event, 0, eventBatch)
	}
}

func (e *edge) Offer(batch []flow.Event) {
	select {
	case e.queue <- batch:
	default:
		e.full.Add(uint64(len(batch)))
		e.recycle(batch)
	}
}

func (e *edge) Send(ctx context.Context, batch []flow.Event) error {
	select {
	case e.queue <- batch:
		return nil
	case <-ctx.Done():
		e.stopped.Add(uint64(len(batch)))
		e.recycle(batch)
		return ctx.Err()
	}
}

// recycle takes a batch back that nobody reads any more.
func (e *edge) recycle(batch []flow.Event) {
	if cap(batch) != eventBatch {
		return // not one of ours
	}
	select {
	case e.free <- batch:
	default:
	}
}

// close is for the source's side: nothing more is offered.
func (e *edge) close() { close(e.queue) }

func (e *edge) addLost(lost map[flow.Loss]uint64) {
	lost[flow.Loss{Stage: "collector", Reason: "queue_full"}] += e.full.Load()
	lost[flow.Loss{Stage: "collector", Reason: "stopped"}] += e.stopped.Load()
}

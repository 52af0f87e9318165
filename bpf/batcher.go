package bpf

import (
	"context"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// batcher fills batches and hands each over when it is full.
type batcher struct {
	out   collector.Out
	batch []flow.Event
	wait  context.Context // not nil: until its end there may be waited for room
}

// sendTime bounds how long a reading waits for the collector: the ring fills meanwhile.
const sendTime = time.Second

// patiently waits for room where do gives more at once than the collector's queue
// holds: a reading of a table is thousands of events, of which none may be lost for
// that. What finds no room in time is dropped and counted like any other event.
func (b *batcher) patiently(ctx context.Context, do func() error) error {
	b.flush()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	defer cancel()
	b.wait = ctx
	err := do()
	b.flush()
	b.wait = nil
	return err
}

// next gives room for one more event, with its old content.
func (b *batcher) next() *flow.Event {
	if b.batch == nil {
		b.batch = b.out.Batch()[:0]
	}
	if len(b.batch) == cap(b.batch) {
		b.flush()
		b.batch = b.out.Batch()[:0]
	}
	b.batch = b.batch[:len(b.batch)+1]
	return &b.batch[len(b.batch)-1]
}

// drop takes the last event back.
func (b *batcher) drop() { b.batch = b.batch[:len(b.batch)-1] }

func (b *batcher) flush() {
	if len(b.batch) == 0 {
		return
	}
	if b.wait == nil || b.out.Send(b.wait, b.batch) != nil {
		b.out.Offer(b.batch)
	}
	b.batch = nil
}

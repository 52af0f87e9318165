package bpf

import (
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// batcher fills batches and offers each when it is full.
type batcher struct {
	out   collector.Out
	batch []flow.Event
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
	if len(b.batch) > 0 {
		b.out.Offer(b.batch)
		b.batch = nil
	}
}

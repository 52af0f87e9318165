package collector

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// outlet is a sink with its queue and goroutine.
type outlet struct {
	sink    Sink
	queue   chan *sharedBatch
	done    chan struct{} // closed when run has returned
	log     limitedLog
	full    atomic.Uint64 // records for which the queue had no room
	failed  atomic.Uint64 // records that the sink returned an error for
	stopped atomic.Uint64 // records that the sink had no time for at the end
}

func newOutlet(s Sink, batches int, log *slog.Logger) *outlet {
	return &outlet{
		sink: s, queue: make(chan *sharedBatch, batches), done: make(chan struct{}),
		log: limitedLog{log: log.With("sink", s.Name())},
	}
}

// offer hands the batch over, or drops it where the sink is behind.
func (o *outlet) offer(b *sharedBatch) {
	select {
	case o.queue <- b:
	default:
		o.full.Add(uint64(len(b.records)))
		b.release()
	}
}

// wait hands the batch over when the sink has room for it, or drops it once
// stopping is closed.
func (o *outlet) wait(b *sharedBatch, stopping <-chan struct{}) {
	select {
	case o.queue <- b:
	case <-stopping:
		o.stopped.Add(uint64(len(b.records)))
		b.release()
	}
}

// run feeds the sink until its queue is closed and empty. A failing sink harms
// nobody but itself.
func (o *outlet) run(ctx context.Context) {
	defer close(o.done)
	for b := range o.queue {
		n := uint64(len(b.records))
		if ctx.Err() != nil {
			o.stopped.Add(n)
		} else if err := o.sink.Consume(ctx, b.records); err != nil {
			o.failed.Add(n)
			o.log.warn(err, n)
		}
		b.release()
	}
}

func (o *outlet) addLost(lost map[flow.Loss]uint64) {
	name := o.sink.Name()
	lost[flow.Loss{Stage: name, Reason: "queue_full"}] += o.full.Load()
	lost[flow.Loss{Stage: name, Reason: "sink_failed"}] += o.failed.Load()
	lost[flow.Loss{Stage: name, Reason: "stopped"}] += o.stopped.Load()
}

// limitedLog logs the first of many failures, and then one in logEvery with the
// sum of those between.
type limitedLog struct {
	log     *slog.Logger
	last    time.Time
	records uint64
}

const logEvery = 10 * time.Second

func (l *limitedLog) warn(err error, records uint64) {
	l.records += records
	if now := time.Now(); l.last.IsZero() || now.Sub(l.last) >= logEvery {
		l.log.Warn("sink failed", "records", l.records, "error", err)
		l.last, l.records = now, 0
	}
}

// sharedBatch is a batch that several sinks read at once.
type sharedBatch struct {
	records []flow.Record
	users   atomic.Int32
	pool    *recordPool
}

// release is called by each user once; the last one's gives the batch back.
func (b *sharedBatch) release() {
	if b.users.Add(-1) == 0 {
		b.pool.put(b)
	}
}

// recordPool keeps batches for use again, for as long as the garbage collector
// finds that they are used.
type recordPool struct{ pool sync.Pool }

func newRecordPool() *recordPool {
	p := &recordPool{}
	p.pool.New = func() any {
		return &sharedBatch{records: make([]flow.Record, 0, recordBatch), pool: p}
	}
	return p
}

func (p *recordPool) get() *sharedBatch { return p.pool.Get().(*sharedBatch) }

func (p *recordPool) put(b *sharedBatch) { p.pool.Put(b) }

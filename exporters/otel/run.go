package otel

import (
	"context"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector"
)

// Run sends until ctx ends, and then what is left, for at most Config.Flush. It
// blocks, and is called once, after which nothing is sent any more.
func (e *Exporter) Run(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(e.cfg.Flush, cancel) })()
	var g sync.WaitGroup
	if e.spans != nil {
		g.Go(func() { e.spans.run(ctx, sending) })
		defer e.spans.courier.transport.close()
	}
	if e.records != nil {
		filling, full := context.WithCancel(context.WithoutCancel(ctx))
		g.Go(func() {
			defer full()
			e.tell(ctx)
		})
		g.Go(func() { e.records.run(filling, sending) })
		defer e.records.courier.transport.close()
	}
	if e.metrics != nil {
		g.Go(func() { e.measure(ctx, sending) })
		defer e.metrics.transport.close()
	}
	g.Wait()
}

// tell sends the flow records that have waited for others like them, and all that wait
// when ctx ends.
func (e *Exporter) tell(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			e.mu.Lock()
			e.merge.Tick(e.cfg.Now(), e.record)
			e.mu.Unlock()
		case <-ctx.Done():
			e.mu.Lock()
			e.merge.Flush(e.record)
			e.mu.Unlock()
			return
		}
	}
}

// measure exports the metrics at each interval, and once more at the end. While a
// receiver is away the series go on, and nothing of them is lost.
func (e *Exporter) measure(ctx, sending context.Context) {
	t := time.NewTicker(e.cfg.Interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			e.export(ctx, sending, time.Now())
		case <-ctx.Done():
			e.export(ctx, sending, time.Now())
			return
		}
	}
}

func (e *Exporter) export(ctx, sending context.Context, now time.Time) {
	for _, m := range e.measured(now) {
		e.metrics.deliver(ctx, sending, m.message, m.n)
		m.message.Free()
	}
}

// measured is what there is to export. The lock is not held while it is sent.
func (e *Exporter) measured(now time.Time) []metricMessage {
	var h *collector.Health
	if e.cfg.Health != nil {
		own := e.cfg.Health()
		h = &own
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h != nil {
		e.folder.health(h, now)
	}
	out := e.collect(e.folder.store, now)
	e.folder.expire(now.Add(-silence))
	return out
}

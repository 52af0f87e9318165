package collector

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// Config bounds a Collector. The zero value of a field means its default.
type Config struct {
	Batches     int           // batches of events that wait for the aggregator; 64
	SinkBatches int           // batches of records that wait at each sink; 256
	Drain       time.Duration // how long the sinks may work on after the source has ended; 5 s
	Wait        bool          // a full sink holds the pipeline up and loses nothing: for sources that can wait
	Logger      *slog.Logger  // slog.Default()
}

const (
	eventBatch  = 256 // events
	recordBatch = 128 // records
	tick        = 250 * time.Millisecond
	flushAfter  = 20 * time.Millisecond // an idle aggregator lets records wait no longer
	abandon     = time.Second           // a sink that ignores the end of its context is left behind after it
)

func (cfg Config) withDefaults() Config {
	if cfg.Batches <= 0 {
		cfg.Batches = 64
	}
	if cfg.SinkBatches <= 0 {
		cfg.SinkBatches = 256
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return cfg
}

// Collector runs one pipeline from a Source to its Sinks.
type Collector struct {
	cfg     Config
	source  Source
	table   *aggregate.Table
	edge    *edge
	outlets []*outlet
	current *sharedBatch // what the table fills
	pool    *recordPool
	account atomic.Pointer[aggregate.Stats]
	since   atomic.Int64

	asks       chan func(*aggregate.Table) // run by the aggregator, between batches
	aggregated chan struct{}               // closed when the aggregator has ended
	stopping   chan struct{}               // closed when Run's context ends: nobody waits for a full sink any more
}

// New connects a pipeline; Run starts it. The table is the collector's from now
// on. Sinks of one name share the account of their losses.
func New(cfg Config, src Source, table *aggregate.Table, sinks ...Sink) *Collector {
	cfg = cfg.withDefaults()
	c := &Collector{
		cfg: cfg, source: src, table: table, edge: newEdge(cfg.Batches), pool: newRecordPool(),
		asks: make(chan func(*aggregate.Table)), aggregated: make(chan struct{}), stopping: make(chan struct{}),
	}
	for _, s := range sinks {
		c.outlets = append(c.outlets, newOutlet(s, cfg.SinkBatches, cfg.Logger))
	}
	c.account.Store(&aggregate.Stats{})
	c.since.Store(time.Now().UnixNano())
	table.EmitTo(c.distribute)
	return c
}

// Run reads the source until ctx is done or the source has ended, then applies
// what is left, and gives the sinks Config.Drain to finish. It blocks, and is
// called once. An error is the source's, or names a sink that did not stop.
func (c *Collector) Run(ctx context.Context) error {
	c.since.Store(time.Now().UnixNano())
	sinking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { close(c.stopping) })()
	for _, o := range c.outlets {
		go o.run(sinking)
	}
	go func() {
		defer close(c.aggregated)
		c.aggregate()
	}()

	err := c.source.Run(ctx, c.edge)
	if err != nil && ctx.Err() != nil && err == ctx.Err() {
		err = nil
	}
	c.edge.close()
	<-c.aggregated
	for _, o := range c.outlets {
		close(o.queue)
	}
	if c.cfg.Wait {
		c.await(ctx)
	}
	stop := time.AfterFunc(c.cfg.Drain, cancel)
	defer stop.Stop()
	deadline := time.NewTimer(c.cfg.Drain + abandon)
	defer deadline.Stop()
	for _, o := range c.outlets {
		select {
		case <-o.done:
		case <-deadline.C:
			deadline.Reset(0) // the others had their time too
			if err == nil {
				err = fmt.Errorf("sink %s: still busy %v after the end", o.sink.Name(), c.cfg.Drain+abandon)
			}
		}
	}
	return err
}

// await gives the sinks all the time that they need, while ctx does.
func (c *Collector) await(ctx context.Context) {
	for _, o := range c.outlets {
		select {
		case <-o.done:
		case <-ctx.Done():
			return
		}
	}
}

// aggregate owns the table until the events end.
func (c *Collector) aggregate() {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	flushed := time.Now()
	for {
		select {
		case batch, ok := <-c.edge.queue:
			if !ok {
				c.table.Drain()
				c.publish()
				return
			}
			c.table.Apply(batch)
			c.edge.recycle(batch)
			if now := time.Now(); len(c.edge.queue) == 0 && now.Sub(flushed) >= flushAfter {
				c.table.Flush()
				flushed = now
			}
		case ask := <-c.asks:
			ask(c.table)
		case <-timer.C:
			timer.Reset(c.table.Tick(c.now()))
			flushed = time.Now()
		}
		c.publish()
	}
}

// now is the time for the table's ticks.
func (c *Collector) now() int64 {
	if s, ok := c.source.(Clocked); ok {
		return s.Now()
	}
	return time.Now().UnixNano()
}

// publish makes the table's account readable for Health, where it changed.
func (c *Collector) publish() {
	if s := c.table.Stats(); s != *c.account.Load() {
		c.account.Store(&s)
	}
}

// distribute is the table's Emit: every sink gets the same batch.
func (c *Collector) distribute(full []flow.Record) []flow.Record {
	if len(full) > 0 {
		b := c.current
		b.records = full
		b.users.Store(int32(len(c.outlets)) + 1)
		for _, o := range c.outlets {
			if c.cfg.Wait {
				o.wait(b, c.stopping)
			} else {
				o.offer(b)
			}
		}
		b.release()
		c.current = nil
	}
	if c.current == nil {
		c.current = c.pool.get()
	}
	return c.current.records[:0]
}

// Health is safe to call at any time from any goroutine.
func (c *Collector) Health() Health {
	s := c.account.Load()
	h := Health{
		Source: c.source.Stats(), Lost: map[flow.Loss]uint64{}, Events: s.Events, Records: s.Records, Flows: s.Flows,
		Evicted: s.Evicted, Since: c.since.Load(),
	}
	for l, n := range h.Source.Lost {
		h.Lost[l] += n
	}
	for l, n := range s.Lost() {
		h.Lost[l] += n
	}
	c.edge.addLost(h.Lost)
	for _, o := range c.outlets {
		o.addLost(h.Lost)
	}
	return h
}

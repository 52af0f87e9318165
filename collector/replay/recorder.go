package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

const (
	recorderQueue = 256 // batches that wait to be written
	flushEvery    = time.Second
	maxWorkloads  = 65536 // workloads that wait to be written
)

// RecorderOptions say what a Recorder does when it cannot write.
type RecorderOptions struct {
	KeepCapturing bool         // go on without recording; else Run ends with the error
	Unredacted    bool         // write paths as they were sent; else without what looks like a secret
	Logger        *slog.Logger // slog.Default()
}

// Recorder is a Source that writes down what another one gives, on its way. The
// other source never waits for the disk: what the recording cannot take in time
// is left out of it and counted {record, queue_full}; what a failed write lost
// is counted {record, write_failed}.
type Recorder struct {
	source  collector.Source
	writer  *Writer
	opt     RecorderOptions
	queue   chan []flow.Event
	free    chan []flow.Event
	full    atomic.Uint64
	unsaved atomic.Uint64
	mu      sync.Mutex
	known   []flow.Event // workloads that wait to be written
}

// NewRecorder records what src gives with w, which is the recorder's from now on.
func NewRecorder(src collector.Source, w *Writer, opt RecorderOptions) *Recorder {
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	return &Recorder{
		source: src, writer: w, opt: opt, queue: make(chan []flow.Event, recorderQueue),
		free: make(chan []flow.Event, 16),
	}
}

// Workload writes down who is behind a cgroup. It is safe from any goroutine,
// never blocks, and may be called before Run.
func (r *Recorder) Workload(w *flow.Workload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxWorkloads {
		r.full.Add(1)
		return
	}
	r.known = append(r.known, flow.Event{Kind: flow.KindWorkload, Time: time.Now().UnixNano(), Workload: w})
}

// Run runs the other source and ends the recording when it returns; see
// collector.Source.
func (r *Recorder) Run(ctx context.Context, out collector.Out) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- r.write(cancel)
	}()
	err := r.source.Run(ctx, &tee{out, r})
	close(r.queue)
	writeErr := <-done
	if r.opt.KeepCapturing {
		return err
	}
	return errors.Join(err, writeErr)
}

// Stats is the other source's account with the recording's losses.
func (r *Recorder) Stats() flow.SourceStats {
	s := r.source.Stats()
	s.Lost = maps.Clone(s.Lost)
	if s.Lost == nil {
		s.Lost = map[flow.Loss]uint64{}
	}
	s.Lost[flow.Loss{Stage: "record", Reason: "queue_full"}] += r.full.Load()
	s.Lost[flow.Loss{Stage: "record", Reason: "write_failed"}] += r.unsaved.Load()
	return s
}

// Now passes a Clocked source's time on.
func (r *Recorder) Now() int64 {
	if c, ok := r.source.(collector.Clocked); ok {
		return c.Now()
	}
	return time.Now().UnixNano()
}

// redact takes what may be secret out of a batch, which is the recorder's own.
func redact(batch []flow.Event) {
	for i := range batch {
		if x := batch[i].Exchange; x != nil {
			batch[i].Exchange = l7.Redacted(x)
		}
	}
}

// write writes until the queue is closed. After a failure it only counts.
func (r *Recorder) write(stop func()) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	var taken uint64 // events that the writer was given
	var err error
	check := func(e error) {
		if e == nil || err != nil {
			return
		}
		err = fmt.Errorf("%w: the recording keeps the %d events that were surely written, and what came whole after them; make room, or record to another place", e, r.writer.Events())
		r.unsaved.Add(taken - r.writer.Events())
		if r.opt.KeepCapturing {
			r.opt.Logger.Error("recording stopped, capture goes on", "error", err)
		} else {
			stop()
		}
	}
	put := func(batch []flow.Event) {
		if err != nil {
			r.unsaved.Add(uint64(len(batch)))
			return
		}
		taken += uint64(len(batch))
		if !r.opt.Unredacted {
			redact(batch)
		}
		check(r.writer.Write(batch))
	}
	for {
		select {
		case batch, ok := <-r.queue:
			put(r.workloads())
			if !ok {
				check(r.writer.Close(r.Stats()))
				return err
			}
			put(batch)
			select {
			case r.free <- batch[:0]:
			default:
			}
		case <-ticker.C:
			put(r.workloads())
			if err == nil {
				check(r.writer.Flush())
			}
		}
	}
}

func (r *Recorder) workloads() []flow.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.known
	r.known = nil
	return known
}

// copyOf is a copy of a batch that goes on to the pipeline.
func (r *Recorder) copyOf(batch []flow.Event) []flow.Event {
	select {
	case b := <-r.free:
		return append(b, batch...)
	default:
		return append(make([]flow.Event, 0, cap(batch)), batch...)
	}
}

// tee is the Out that the recorded source writes to.
type tee struct {
	collector.Out
	r *Recorder
}

func (t *tee) Offer(batch []flow.Event) {
	select {
	case t.r.queue <- t.r.copyOf(batch):
	default:
		t.r.full.Add(uint64(len(batch)))
	}
	t.Out.Offer(batch)
}

func (t *tee) Send(ctx context.Context, batch []flow.Event) error {
	select {
	case t.r.queue <- t.r.copyOf(batch):
	case <-ctx.Done():
		t.r.full.Add(uint64(len(batch)))
	}
	return t.Out.Send(ctx, batch)
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// Options say how a recording is read.
type Options struct {
	// Speed is how much faster than it was recorded: 1 is real time, 0 is as
	// fast as the pipeline takes it, without any waiting or loss.
	Speed float64
}

// Source is a recording as a collector.Source. Run is called once; Stats, Now
// and Meta may be called from any goroutine.
type Source struct {
	reader *reader
	closer io.Closer // nil where the caller owns what is read
	meta   Meta
	speed  float64
	first  atomic.Int64 // time of the first event; 0 before it
	begun  atomic.Pointer[time.Time]
	mu     sync.Mutex
	perCPU []flow.CPUCounts
	ended  *flow.SourceStats
}

var _ collector.Clocked = (*Source)(nil)

// Open opens a recording in a file and reads its first line.
func Open(path string, opt Options) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	s, err := NewSource(f, path, opt)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.closer = f
	return s, nil
}

// NewSource reads a recording from in, and its first line at once; name stands
// for it in errors.
func NewSource(in io.Reader, name string, opt Options) (*Source, error) {
	if opt.Speed != 0 && !(opt.Speed >= 0.001 && opt.Speed <= 1e6) {
		return nil, fmt.Errorf("speed %v: it must be 0 (as fast as possible) or from 0.001 to 1,000,000", opt.Speed)
	}
	r, meta, err := newReader(in, name)
	if err != nil {
		return nil, err
	}
	return &Source{reader: r, meta: meta, speed: opt.Speed}, nil
}

// Meta says where and when the recording was made.
func (s *Source) Meta() Meta { return s.meta }

// Close closes the file, after Run has returned.
func (s *Source) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// Stats counts what was read so far; after the end it is the recorded source's
// own account, the recording's losses included.
func (s *Source) Stats() flow.SourceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return *s.ended
	}
	return flow.SourceStats{PerCPU: append([]flow.CPUCounts(nil), s.perCPU...)}
}

// Now is the time in the recording: 0 where it is read as fast as possible.
func (s *Source) Now() int64 {
	begun := s.begun.Load()
	if s.speed == 0 || begun == nil {
		return 0
	}
	return s.first.Load() + int64(min(float64(time.Since(*begun))*s.speed, math.MaxInt64/4))
}

// Run hands over all events; see collector.Source. An error is an *Error; where
// it is ErrTruncated, everything before was delivered.
func (s *Source) Run(ctx context.Context, out collector.Out) error {
	batch := out.Batch()
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		s.count(batch)
		err := out.Send(ctx, batch)
		batch = nil
		if err == nil {
			batch = out.Batch()
		}
		return err
	}
	for {
		ev, end, err := s.reader.next()
		if err != nil || end != nil {
			if sendErr := send(); sendErr != nil {
				return stopped(ctx, sendErr)
			}
			if err == nil {
				s.finish(end)
			}
			return err
		}
		if wait := s.wait(ev.Time); wait > 0 {
			if err := send(); err != nil {
				return stopped(ctx, err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
		}
		if batch = append(batch, ev); len(batch) == cap(batch) {
			if err := send(); err != nil {
				return stopped(ctx, err)
			}
		}
	}
}

// stopped is no error where it was the context that ended the reading.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// wait is how long an event is still to come.
func (s *Source) wait(at int64) time.Duration {
	if s.speed == 0 {
		return 0
	}
	if s.begun.Load() == nil {
		now := time.Now()
		s.first.Store(at)
		s.begun.Store(&now)
	}
	due := float64(at-s.first.Load()) / s.speed
	return time.Duration(min(due-float64(time.Since(*s.begun.Load())), math.MaxInt64/4))
}

func (s *Source) count(batch []flow.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		cpu := int(batch[i].CPU)
		for cpu >= len(s.perCPU) {
			s.perCPU = append(s.perCPU, flow.CPUCounts{})
		}
		s.perCPU[cpu].Produced++
		s.perCPU[cpu].Delivered++
	}
}

func (s *Source) finish(end *wireEnd) {
	stats := end.Stats.decode()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = &stats
}

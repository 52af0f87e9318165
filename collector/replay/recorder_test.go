package replay

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// source is a function as a collector.Source.
type source func(ctx context.Context, out collector.Out) error

func (s source) Run(ctx context.Context, out collector.Out) error { return s(ctx, out) }
func (s source) Stats() flow.SourceStats                          { return sampleStats() }

func lossOf(s collector.Source, reason string) uint64 {
	return s.Stats().Lost[flow.Loss{Stage: "record", Reason: reason}]
}

func TestRecorder(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, testMeta)
	if err != nil {
		t.Fatal(err)
	}
	events := sample()[1:]
	r := NewRecorder(source(func(ctx context.Context, out collector.Out) error {
		out.Offer(append(out.Batch(), events[:4]...))
		return out.Send(ctx, append(out.Batch(), events[4:]...))
	}), w, RecorderOptions{})
	r.Workload(sample()[0].Workload)
	var g gather
	if err := r.Run(t.Context(), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.events) != len(events) {
		t.Errorf("%d events passed on, want %d", len(g.events), len(events))
	}
	got, s, err := read(t, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(events)+1 || got[0].Kind != flow.KindWorkload {
		t.Errorf("%d events recorded, want %d and a workload", len(got), len(events))
	}
	if lost := s.Stats().Lost[flow.Loss{Stage: "kernel", Reason: "ring_full"}]; lost != 2 {
		t.Errorf("the recording knows of %d lost events, want 2", lost)
	}
}

// What the pipeline drops is in the recording all the same.
func TestRecorderIsNotBehindThePipeline(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, testMeta)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(source(func(_ context.Context, out collector.Out) error {
		out.Offer(append(out.Batch(), sample()...))
		return nil
	}), w, RecorderOptions{})
	if err := r.Run(t.Context(), &gather{full: true}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := read(t, b.Bytes()); err != nil || len(got) != len(sample()) {
		t.Errorf("%d events recorded, error %v", len(got), err)
	}
}

// A disk that is full ends the run with the reason; or, where that is wanted, the
// recording alone. Either way every event that is not in it is counted.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	for name, keep := range map[string]bool{"stop": false, "keep capturing": true} {
		t.Run(name, func(t *testing.T) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			late := &lateWriter{to: full, room: 1 << 10}
			w, err := NewWriter(late, testMeta)
			if err != nil {
				t.Fatal(err)
			}
			const batches = 500
			var log bytes.Buffer
			given := 0
			r := NewRecorder(source(func(ctx context.Context, out collector.Out) error {
				for given = 0; given < batches && ctx.Err() == nil; given++ {
					if err := out.Send(ctx, append(out.Batch(), sample()...)); err != nil {
						return nil
					}
				}
				return nil
			}), w, RecorderOptions{KeepCapturing: keep, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			var g gather
			err = r.Run(t.Context(), &g)
			if keep {
				if err != nil || given != batches || !strings.Contains(log.String(), "no space left on device") {
					t.Errorf("%d batches, error %v, log %s", given, err, log.String())
				}
				if n := lossOf(r, "write_failed"); n != uint64(batches*len(sample())) {
					t.Errorf("%d events counted, want %d", n, batches*len(sample()))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), "make room") {
				t.Errorf("error %v", err)
			}
			if lossOf(r, "write_failed") == 0 {
				t.Error("no event counted")
			}
		})
	}
}

// lateWriter is full after some bytes.
type lateWriter struct {
	to   *os.File
	room int
}

func (w *lateWriter) Write(b []byte) (int, error) {
	if w.room -= len(b); w.room >= 0 {
		return len(b), nil
	}
	return w.to.Write(b)
}

// A disk that hangs holds nobody up; what the queue has no room for is counted.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowWriter{}
		w, err := NewWriter(slow, testMeta)
		if err != nil {
			t.Fatal(err)
		}
		slow.delay = time.Minute
		const batches = 3 * recorderQueue
		begun := time.Now()
		var took time.Duration
		r := NewRecorder(source(func(ctx context.Context, out collector.Out) error {
			for range batches {
				batch := out.Batch()
				for range 8 {
					batch = append(batch, sample()...)
				}
				out.Offer(batch)
			}
			took = time.Since(begun)
			return nil
		}), w, RecorderOptions{})
		var g gather
		if err := r.Run(t.Context(), &g); err != nil {
			t.Fatal(err)
		}
		if took != 0 {
			t.Errorf("the source waited %v", took)
		}
		lost := lossOf(r, "queue_full")
		got, s, err := read(t, slow.Bytes())
		if err != nil || lost == 0 || uint64(len(got))+lost != uint64(len(g.events)) {
			t.Errorf("%d recorded + %d lost of %d, error %v", len(got), lost, len(g.events), err)
		}
		if n := s.Stats().Lost[flow.Loss{Stage: "record", Reason: "queue_full"}]; n != lost {
			t.Errorf("the recording knows of %d, want %d", n, lost)
		}
	})
}

type slowWriter struct {
	bytes.Buffer
	delay time.Duration
}

func (w *slowWriter) Write(b []byte) (int, error) {
	time.Sleep(w.delay)
	return w.Buffer.Write(b)
}

// Every second all that came is on the disk.
func TestRecorderFlushes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gz")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(path, testMeta)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRecorder(source(func(ctx context.Context, out collector.Out) error {
			out.Offer(append(out.Batch(), sample()...))
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if got, _, err := read(t, raw); !errors.Is(err, ErrTruncated) || len(got) != len(sample()) {
				t.Errorf("%d events on the disk, error %v", len(got), err)
			}
			return nil
		}), w, RecorderOptions{})
		if err := r.Run(t.Context(), &gather{}); err != nil {
			t.Fatal(err)
		}
	})
}

// The recorded source's own error is not hidden.
func TestRecorderSourceError(t *testing.T) {
	w, err := NewWriter(&bytes.Buffer{}, testMeta)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("ring broken")
	r := NewRecorder(source(func(context.Context, collector.Out) error { return broken }), w, RecorderOptions{})
	if err := r.Run(t.Context(), &gather{}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

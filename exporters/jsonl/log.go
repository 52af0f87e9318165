package jsonl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/exporters/internal/merge"
)

// Config is what a Log needs to know. Path must be given.
type Config struct {
	Path     string           // of the file that is written; older ones are PATH.1 to PATH.Keep
	Size     int64            // bytes of a file, after which the next is begun; 0 is no bound
	Age      time.Duration    // of a file, after which the next is begun; 0 is no bound
	Keep     int              // older files that are kept
	Compress bool             // older files with gzip, as PATH.1.gz
	Budget   int              // flows and exchanges a second that get lines one by one; alike ones beyond it are merged; 0 is no bound
	NodeName string           // of this host, in every line
	Version  string           // of weir
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // time.Now when nil
}

// Log is a collector.Sink. A batch is written whole or not at all, and a line never
// goes into two files.
type Log struct {
	cfg     Config
	convert *convert.Converter
	print   *printer.Printer
	lines   bytes.Buffer
	reopen  atomic.Bool

	// Of the line that is being written.
	res        observerpb.GetFlowsResponse
	flow       observerpb.GetFlowsResponse_Flow
	extensions []byte

	mu     sync.Mutex
	file   *file // nil after it could not be opened
	zipped sync.WaitGroup
	merge  *merge.Merger
	waited uint64      // records in lines that have waited: who gave them was told that all is well
	failed error       // why a line could not be made
	timer  *time.Timer // nil while nothing waits
	closed bool

	lost atomic.Uint64
}

var _ collector.Sink = (*Log)(nil)

// Open opens the file, which it makes where it is missing and appends to where it is
// there. It takes regular files only. Close must be called at the end.
func Open(cfg Config) (*Log, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg, convert: convert.New(cfg.NodeName, cfg.Version), merge: merge.New(cfg.Budget, cfg.Logger)}
	l.print = printer.New(printer.Options{Format: printer.FormatJSON, Out: &l.lines})
	var err error
	if l.file, err = openFile(cfg.Path, cfg.Now()); err != nil {
		return nil, fmt.Errorf("flow log: %w", err)
	}
	return l, nil
}

// Name is the stage of the log's losses.
func (l *Log) Name() string { return "flow_log" }

// Consume writes a batch, but for records that wait to be merged with others like them.
// It blocks as long as the disk does. After an error the file ends with the line before
// the batch.
func (l *Log) Consume(_ context.Context, batch []flow.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	var given *flow.Record
	tell := func(r *flow.Record) {
		if r == given {
			l.put(r)
		} else {
			l.putWaited(r)
		}
	}
	for i := range batch {
		if given = &batch[i]; shown(given) {
			l.merge.Add(given, now, tell)
		}
	}
	err := l.write()
	l.await()
	return err
}

// shown tells whether a record is one that observe shows.
func shown(r *flow.Record) bool {
	return r.Kind != flow.RecordUpdate && (r.Kind != flow.RecordL7 || r.L7 != nil && r.L7.Exchange != nil)
}

// putWaited is put for a record that stands for some that have waited.
func (l *Log) putWaited(r *flow.Record) {
	l.waited += 1 + r.More
	l.put(r)
}

// put adds the line of a record to those that are written next.
func (l *Log) put(r *flow.Record) {
	if l.failed == nil {
		l.failed = l.line(r)
	}
}

// write writes the lines, all or none of them.
func (l *Log) write() error {
	err := l.failed
	if err == nil {
		err = l.ready(int64(l.lines.Len()))
	}
	if err == nil && l.lines.Len() > 0 {
		err = l.file.write(l.lines.Bytes())
	}
	if err != nil {
		l.lost.Add(l.waited)
		err = fmt.Errorf("flow log: %w", err)
	}
	l.lines.Reset()
	l.failed, l.waited = nil, 0
	return err
}

// await sees to it that what waits is written, also when no batch comes any more.
func (l *Log) await() {
	if l.timer == nil && !l.closed && l.merge.Waiting() > 0 {
		l.timer = time.AfterFunc(time.Second, l.tick)
	}
}

func (l *Log) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	if l.closed {
		return
	}
	l.merge.Tick(l.cfg.Now(), l.putWaited)
	if err := l.write(); err != nil {
		l.cfg.Logger.Warn("merged flows could not be written", "error", err)
	}
	l.await()
}

// Lost is what was lost after Consume had taken it, by reason. Counters only grow.
func (l *Log) Lost() map[flow.Loss]uint64 {
	return map[flow.Loss]uint64{{Stage: l.Name(), Reason: "write_failed"}: l.lost.Load()}
}

// line adds the line of a record.
func (l *Log) line(r *flow.Record) error {
	f := l.convert.Lend(r)
	l.flow.Flow = f
	l.res.ResponseTypes, l.res.NodeName, l.res.Time = &l.flow, f.GetNodeName(), f.GetTime()
	l.extensions = l.convert.AppendExtensions(l.extensions[:0], r)
	return l.print.WriteExtended(&l.res, l.extensions)
}

// Reopen makes the next batch go into a file of the configured name, for when
// somebody else has renamed the present one. It does not block, and may be called
// from any goroutine.
func (l *Log) Reopen() { l.reopen.Store(true) }

// Close writes what waits, closes the file, and waits until an older one is compressed.
// Nothing is consumed after it.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	var err error
	if l.merge.Waiting() > 0 {
		l.merge.Flush(l.putWaited)
		err = l.write()
	}
	l.zipped.Wait()
	if l.file == nil {
		return err
	}
	if e := l.file.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("flow log: %w", e))
	}
	l.file = nil
	return err
}

package jsonl

import (
	"bytes"
	"context"
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
)

// Config is what a Log needs to know. Path must be given.
type Config struct {
	Path     string           // of the file that is written; older ones are PATH.1 to PATH.Keep
	Size     int64            // bytes of a file, after which the next is begun; 0 is no bound
	Age      time.Duration    // of a file, after which the next is begun; 0 is no bound
	Keep     int              // older files that are kept
	Compress bool             // older files with gzip, as PATH.1.gz
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
	l := &Log{cfg: cfg, convert: convert.New(cfg.NodeName, cfg.Version)}
	l.print = printer.New(printer.Options{Format: printer.FormatJSON, Out: &l.lines})
	var err error
	if l.file, err = openFile(cfg.Path, cfg.Now()); err != nil {
		return nil, fmt.Errorf("flow log: %w", err)
	}
	return l, nil
}

// Name is the stage of the log's losses.
func (l *Log) Name() string { return "flow_log" }

// Consume writes a batch. It blocks as long as the disk does. After an error the
// file ends with the line before the batch.
func (l *Log) Consume(_ context.Context, batch []flow.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.Reset()
	for i := range batch {
		if err := l.line(&batch[i]); err != nil {
			return err
		}
	}
	if err := l.ready(int64(l.lines.Len())); err != nil {
		return fmt.Errorf("flow log: %w", err)
	}
	if l.lines.Len() == 0 {
		return nil
	}
	if err := l.file.write(l.lines.Bytes()); err != nil {
		return fmt.Errorf("flow log: %w", err)
	}
	return nil
}

// line adds the line of a record, where it is one that observe shows.
func (l *Log) line(r *flow.Record) error {
	if r.Kind == flow.RecordUpdate || r.Kind == flow.RecordL7 && (r.L7 == nil || r.L7.Exchange == nil) {
		return nil
	}
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

// Close closes the file, and waits until an older one is compressed.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.zipped.Wait()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	if err != nil {
		return fmt.Errorf("flow log: %w", err)
	}
	return nil
}

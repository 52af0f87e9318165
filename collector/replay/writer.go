package replay

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Meta says where and when a recording was made.
type Meta struct {
	Weir    string // version of the weir that made it
	Host    string
	Kernel  string
	Started int64 // ns since the Unix epoch
}

// Writer writes a recording. It is for one goroutine. After an error every later
// call returns the same one.
type Writer struct {
	name  string
	out   *bufio.Writer
	gz    *gzip.Writer // nil without compression
	file  *os.File     // nil where the caller owns what is written to
	line  []byte
	count uint64 // events written
	safe  uint64 // of them, those that had left the buffers when last asked
	err   error
}

// Create makes a recording in a file, which only its owner may read, and
// replaces what was there. It is compressed where the name ends in .gz.
func Create(path string, meta Meta) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	w := &Writer{name: path, file: f}
	var out io.Writer = f
	if strings.HasSuffix(path, ".gz") {
		// A busy host gives events faster than the better levels compress.
		w.gz, _ = gzip.NewWriterLevel(f, gzip.BestSpeed) // the level is a valid one
		out = w.gz
	}
	if err := w.begin(out, meta); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// NewWriter makes a recording in w, which stays the caller's to close.
func NewWriter(out io.Writer, meta Meta) (*Writer, error) {
	w := &Writer{name: "stream"}
	return w, w.begin(out, meta)
}

func (w *Writer) begin(out io.Writer, meta Meta) error {
	w.out = bufio.NewWriterSize(out, 1<<16)
	raw, err := json.Marshal(header{version, text(meta.Weir), text(meta.Host), text(meta.Kernel), meta.Started})
	if err != nil {
		return w.fail(err)
	}
	w.put(append(raw, '\n'))
	return w.Flush()
}

// Name is the file's, for messages.
func (w *Writer) Name() string { return w.name }

// Events is how many events are surely in the recording: those that had left
// the buffers at the last Flush.
func (w *Writer) Events() uint64 { return w.safe }

// Write appends events. What a full disk cuts off is told by this or a later call.
func (w *Writer) Write(batch []flow.Event) error {
	for i := range batch {
		if w.err != nil {
			return w.err
		}
		line, err := appendEvent(w.line[:0], &batch[i])
		if err != nil {
			return w.fail(fmt.Errorf("event of kind %d: %w", batch[i].Kind, err))
		}
		w.line = append(line, '\n')
		w.put(w.line)
		w.count++
	}
	return w.err
}

// Flush hands all that was written to the file, so that a reader, or a crash,
// finds it whole.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	if err := w.out.Flush(); err != nil {
		return w.fail(err)
	}
	if w.gz != nil {
		if err := w.gz.Flush(); err != nil {
			return w.fail(err)
		}
	}
	w.safe = w.count
	return nil
}

// Close writes the source's account as the last line, and closes the file. It
// must be called once, after an error too: then the recording stays truncated.
func (w *Writer) Close(stats flow.SourceStats) error {
	if w.err == nil {
		raw, err := json.Marshal(line{End: &wireEnd{w.count, encodeStats(&stats)}})
		if err != nil {
			w.fail(err)
		} else {
			w.put(append(raw, '\n'))
		}
	}
	w.Flush()
	if w.gz != nil && w.err == nil {
		if err := w.gz.Close(); err != nil {
			w.fail(err)
		}
	}
	if w.file != nil {
		if err := w.file.Close(); err != nil && w.err == nil {
			w.fail(err)
		}
	}
	return w.err
}

func (w *Writer) put(line []byte) {
	if _, err := w.out.Write(line); err != nil {
		w.fail(err)
	}
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("recording %s: %w", w.name, err)
	}
	return w.err
}

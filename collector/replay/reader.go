package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// maxLine bounds a line. The longest event, a workload with many labels, has a
// few kilobytes.
const maxLine = 1 << 20

// ErrTruncated is returned, wrapped, for a recording whose last line is missing.
// All events that it holds whole were delivered before.
var ErrTruncated = errors.New("truncated")

// Error says what is wrong in a recording, and where.
type Error struct {
	File      string
	Line, Col int // from 1; the column counts bytes
	Err       error
}

func (e *Error) Error() string {
	return fmt.Sprintf("recording %s:%d:%d: %v", e.File, e.Line, e.Col, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// reader takes a recording apart, line by line.
type reader struct {
	name   string
	in     *bufio.Reader
	number int // of the line read last
	events uint64
}

// newReader finds out whether the recording is compressed, and reads its first line.
func newReader(in io.Reader, name string) (*reader, Meta, error) {
	r := &reader{name: name}
	raw := bufio.NewReaderSize(in, 1<<16)
	if magic, _ := raw.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		gz, err := gzip.NewReader(raw)
		if err != nil {
			return nil, Meta{}, r.fault(1, fmt.Errorf("gzip header: %w", err))
		}
		r.in = bufio.NewReaderSize(gz, maxLine)
	} else {
		r.in = bufio.NewReaderSize(raw, maxLine)
	}
	meta, err := r.header()
	return r, meta, err
}

func (r *reader) header() (Meta, error) {
	raw, err := r.line()
	if errors.Is(err, io.EOF) {
		return Meta{}, r.fault(1, errors.New("nothing in it: it is no recording"))
	}
	if err != nil {
		return Meta{}, err
	}
	// The version decides before anything else that the line may hold.
	var v struct {
		Recording *int `json:"weir_recording"`
	}
	if err := json.Unmarshal(raw, &v); err != nil || v.Recording == nil {
		return Meta{}, r.fault(1, errors.New(`first line without "weir_recording": it is no recording; make one with: weir record -o FILE`))
	}
	if *v.Recording != version {
		return Meta{}, r.fault(column(raw, `"weir_recording"`), fmt.Errorf(
			"format version %d: this weir reads %d: read the recording with the weir that made it, or a newer one", *v.Recording, version))
	}
	var h header
	if err := r.decode(raw, &h); err != nil {
		return Meta{}, err
	}
	return Meta{string(h.Weir), string(h.Host), string(h.Kernel), h.Started}, nil
}

// next gives the next event, or the end's account. io.EOF comes after that.
func (r *reader) next() (ev flow.Event, end *wireEnd, err error) {
	raw, err := r.line()
	if errors.Is(err, io.EOF) {
		return ev, nil, r.truncated("its last line is missing")
	}
	if err != nil {
		return ev, nil, err
	}
	var l line
	if err := r.decode(raw, &l); err != nil {
		return ev, nil, err
	}
	if l.End != nil {
		return ev, l.End, r.end(raw, &l)
	}
	if ev, err = l.event(); err != nil {
		return ev, nil, r.faultIn(raw, err)
	}
	r.events++
	return ev, nil, nil
}

// end checks the last line, and that it is the last.
func (r *reader) end(raw []byte, l *line) error {
	switch {
	case l.Kind != 0 || l.contents() != 0:
		return r.fault(1, errors.New("an event and the end in one line"))
	case l.End.Events != r.events:
		return r.fault(column(raw, `"events"`), fmt.Errorf("%d events counted, %d are here: lines were taken out or added", l.End.Events, r.events))
	case len(l.End.Stats.CPUs) > maxCPU:
		return r.fault(column(raw, `"cpus"`), fmt.Errorf("%d processors: there are at most %d", len(l.End.Stats.CPUs), maxCPU))
	}
	if err := l.End.Stats.checkUnseen(); err != nil {
		return r.faultIn(raw, err)
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		r.number++
		return r.fault(1, errors.New("more after the last line: two recordings in one file; split them"))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil // of what gzip has after its data nothing is needed
	default:
		return r.fault(1, err)
	}
}

// line gives the next line without its end; it is valid until the next call. The
// error is io.EOF where none is left, and ErrTruncated, wrapped, where a part is.
func (r *reader) line() ([]byte, error) {
	raw, err := r.in.ReadSlice('\n')
	if len(raw) == 0 && err == io.EOF {
		return nil, io.EOF
	}
	r.number++
	switch {
	case err == nil:
		return raw[:len(raw)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, r.fault(maxLine+1, fmt.Errorf("a line longer than %d bytes: it is no recording, or a broken one", maxLine))
	case errors.Is(err, io.EOF):
		return nil, r.truncated(fmt.Sprintf("its last line is cut off after %d bytes", len(raw)))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, r.truncated("its compressed data is cut off")
	}
	return nil, r.fault(1, err)
}

func (r *reader) truncated(how string) error {
	return r.fault(1, fmt.Errorf(
		"%w: %s: the %d events before were read; what was lost while recording is not known", ErrTruncated, how, r.events))
}

func (r *reader) fault(col int, err error) error {
	return &Error{r.name, max(r.number, 1), col, err}
}

// faultIn points to the value that an error is about, where it is about one.
func (r *reader) faultIn(raw []byte, err error) error {
	var f *fieldError
	if errors.As(err, &f) {
		return r.fault(column(raw, f.text), err)
	}
	return r.fault(1, err)
}

// decode reads a line strictly.
func (r *reader) decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if rest := bytes.TrimSpace(raw[d.InputOffset():]); len(rest) > 0 {
			return r.fault(int(d.InputOffset())+1, errors.New("more than one value in the line"))
		}
		return nil
	}
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return r.fault(int(syntax.Offset), err)
	case errors.As(err, &wrongType):
		return r.fault(int(wrongType.Offset), fmt.Errorf("%s: a JSON %s does not fit", wrongType.Field, wrongType.Value))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return r.fault(len(raw)+1, errors.New("the line ends within a value"))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return r.fault(column(raw, name), fmt.Errorf(
			"field %s: unknown to this weir: read the recording with the weir that made it, or a newer one", name))
	}
	return r.fault(1, err)
}

// column is where a text stands in a line, from 1.
func column(raw []byte, text string) int { return max(0, bytes.Index(raw, []byte(text))) + 1 }

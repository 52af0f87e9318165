// Package printer writes flows to a terminal, a pipe or a file, in the formats
// of "hubble observe".
package printer

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"text/tabwriter"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/exporters/hubble/internal/jsonpb"
)

// Format is an output format.
type Format uint8

// The formats. FormatJSON writes one GetFlowsResponse a line, as "hubble
// observe -o json" does.
const (
	FormatCompact Format = iota
	FormatDict
	FormatJSON
	FormatTable
)

// Options say how a Printer writes.
type Options struct {
	Format      Format
	Layout      string // of times, as package time has it; empty is time.StampMilli
	Numeric     bool   // addresses instead of names
	Color       bool   // colours in FormatCompact and FormatDict
	NodeName    bool
	PolicyNames bool
	Out         io.Writer
	Err         io.Writer // for what is said about the stream itself; nil drops it
}

// Printer writes responses. It is used by one goroutine. Text from outside
// passes Sanitize in every format; JSON escapes it.
type Printer struct {
	o    Options
	tab  *tabwriter.Writer
	line int
	buf  []byte

	encode *jsonpb.Encoder[observerpb.GetFlowsResponse] // in FormatJSON
}

// New is a Printer that writes to o.Out.
func New(o Options) *Printer {
	if o.Layout == "" {
		o.Layout = time.StampMilli
	}
	if o.Err == nil {
		o.Err = io.Discard
	}
	p := &Printer{o: o}
	switch o.Format {
	case FormatJSON:
		p.encode = jsonpb.New[observerpb.GetFlowsResponse]()
	case FormatTable:
		p.o.Color = false // a tabwriter counts escape sequences as text
		p.tab = tabwriter.NewWriter(o.Out, 2, 0, 3, ' ', 0)
	}
	return p
}

// Write writes one response, with one call of Out's Write. Nobody else may use the
// response meanwhile. An error of the writer is wrapped: IsBrokenPipe recognises a
// reader that went away.
func (p *Printer) Write(res *observerpb.GetFlowsResponse) error {
	p.buf = p.buf[:0]
	out := p.o.Out
	switch r := res.GetResponseTypes().(type) {
	case *observerpb.GetFlowsResponse_Flow:
		if p.o.Format == FormatJSON {
			return p.json(res, nil)
		}
		p.flow(r.Flow)
	case *observerpb.GetFlowsResponse_LostEvents:
		if p.o.Format == FormatJSON {
			return p.json(res, nil)
		}
		p.lost(res, r.LostEvents)
	case *observerpb.GetFlowsResponse_NodeStatus:
		out = p.o.Err
		p.status(res, r.NodeStatus)
	default: // of a newer server
		return nil
	}
	if p.tab != nil && out == p.o.Out {
		out = p.tab
	}
	if _, err := out.Write(p.buf); err != nil {
		return fmt.Errorf("print flow: %w", err)
	}
	return nil
}

// Close writes what is still held back: a table is laid out at its end.
func (p *Printer) Close() error {
	if p.tab == nil {
		return nil
	}
	if err := p.tab.Flush(); err != nil {
		return fmt.Errorf("print flows: %w", err)
	}
	return nil
}

// IsBrokenPipe tells whether err means that whoever read the output has had
// enough, as "head" does. On standard output it is seen only by a program that
// ignores SIGPIPE.
func IsBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

func (p *Printer) time(ts *timestamppb.Timestamp) string {
	if !ts.IsValid() {
		return "N/A"
	}
	return ts.AsTime().Format(p.o.Layout)
}

func (p *Printer) printf(format string, args ...any) {
	p.buf = fmt.Appendf(p.buf, format, args...)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/ui"
)

// plainWindow is a window of the past as text: of which time it is, what it lacks,
// and the tables of that time. Where it cannot be told, why.
func plainWindow(ctx context.Context, s *shown, window time.Duration) []byte {
	const patience = 30 * time.Second
	// The last table is written when top is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	p, err := s.past(ctx, window)
	if err != nil {
		return fmt.Appendf(nil, "window %s: %s\n\n", span(window), printer.Sanitize(err.Error()))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "window %s: %s to %s%s\n", span(window), p.Since.UTC().Format(time.RFC3339), p.Until.UTC().Format(time.RFC3339), missing(p))
	snapshot := p.On(s.view.Snapshot())
	snapshot.Verdicts = nil // they are the present's
	b.Write(plainTable(snapshot, s.health().Lost, ui.Policies{}))
	return b.Bytes()
}

// missing says what a window lacks of its time.
func missing(p *ui.Past) string {
	if p.First.IsZero() {
		return ", nothing is kept yet"
	}
	out := ""
	if p.First.After(p.Since) {
		out += ", only since " + p.First.UTC().Format(time.RFC3339)
	}
	if p.Gap > 0 {
		out += fmt.Sprintf(", unseen %s in %s", span(p.Gap), plural(p.Gaps, "gap"))
	}
	if p.Lost > 0 {
		out += fmt.Sprintf(", %s events lost in it", grouped(p.Lost))
	}
	return out
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/ui"
)

// plainRows bounds a table of printTop.
const plainRows = 20

// printTop writes a table at each refresh, and a last one at the end.
func (a *app) printTop(ctx context.Context, s *shown, o topOptions) error {
	window, err := ui.ParseWindow(o.window)
	if err != nil {
		return err
	}
	tick := time.NewTicker(o.refresh)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		var text []byte
		if window > 0 {
			text = plainWindow(ctx, s, window)
		} else {
			text = plainTable(s.view.Snapshot(), s.health().Lost, s.policies())
		}
		if _, err := a.out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// plainTable is the state as text, written in one piece.
func plainTable(s *aggregate.Snapshot, lost map[flow.Loss]uint64, policies ui.Policies) []byte {
	var b bytes.Buffer
	var gone uint64
	for _, n := range lost {
		gone += n
	}
	t := s.Totals
	refused := ""
	if t.Denied+t.Audited > 0 {
		refused = fmt.Sprintf("%s denied, %s audited, ", grouped(t.Denied), grouped(t.Audited))
	}
	now := time.Unix(0, s.Time)
	fmt.Fprintf(&b, "%s  %s live, %s opened (%.1f/s), %s failed, %s dropped packets, %s%s/s, %s lost\n",
		now.UTC().Format(time.RFC3339), grouped(t.Live), grouped(t.Opened), t.OpenRate,
		grouped(t.Failed), grouped(t.Drops), refused, size(t.SentRate.Payload+t.ReceivedRate.Payload), grouped(gone))
	rows := slices.Clone(s.Workloads)
	slices.SortFunc(rows, func(x, y aggregate.WorkloadRow) int {
		return cmp.Or(
			cmp.Compare(y.SentRate.Payload+y.ReceivedRate.Payload, x.SentRate.Payload+x.ReceivedRate.Payload),
			cmp.Compare(y.Opened, x.Opened), cmp.Compare(name(x.Workload), name(y.Workload)))
	})
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOAD\tLIVE\tOPENED\tFAILED\tDROPS\tRETRANS\tPEERS\tRTT\tSENT/s\tRECEIVED/s")
	for _, r := range rows[:min(len(rows), plainRows)] {
		rtt := "-"
		if r.RTT > 0 {
			rtt = time.Duration(r.RTT).Round(time.Microsecond).String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", printer.Sanitize(name(r.Workload)), r.Live, r.Opened,
			r.Failed, r.Drops, r.Retransmits, r.Peers, rtt, size(r.SentRate.Payload), size(r.ReceivedRate.Payload))
	}
	_ = w.Flush() // into memory
	if n := len(rows) - plainRows; n > 0 {
		fmt.Fprintf(&b, "and %d workloads more\n", n)
	}
	plainOperations(&b, s.Operations)
	plainPolicies(&b, &policies, now)
	plainVerdicts(&b, s)
	b.WriteByte('\n')
	return b.Bytes()
}

// plainOperations writes what is asked most, and how it is answered; nothing where
// nothing is asked.
func plainOperations(b *bytes.Buffer, all []aggregate.OperationRow) {
	if len(all) == 0 {
		return
	}
	rows := slices.Clone(all)
	slices.SortFunc(rows, func(x, y aggregate.OperationRow) int {
		return cmp.Or(
			cmp.Compare(y.Rate, x.Rate), cmp.Compare(y.Requests, x.Requests), cmp.Compare(name(x.Client), name(y.Client)),
			cmp.Compare(name(x.Server), name(y.Server)), cmp.Compare(x.Remote, y.Remote), cmp.Compare(x.Protocol, y.Protocol),
			cmp.Compare(x.Method, y.Method), cmp.Compare(x.Route, y.Route))
	})
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLIENT\tSERVER\tPROTOCOL\tMETHOD\tREQUESTS/s\tERRORS/s\tP50\tP99\tREQUESTS\tERRORS\tIN FULL\tROUTE")
	for _, r := range rows[:min(len(rows), plainRows)] {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%.1f\t%s\t%s\t%d\t%d\t%d\t%s\n",
			word(end(r.Client, r.Remote)), word(end(r.Server, r.Remote)), word(r.Protocol.String()), word(r.Method), r.Rate, r.ErrorRate,
			quantile(r.P50), quantile(r.P99), r.Requests, r.Errors, min(r.Shown, r.Requests), word(r.Route))
	}
	_ = w.Flush() // into memory
	if n := len(rows) - plainRows; n > 0 {
		fmt.Fprintf(b, "and %d operations more\n", n)
	}
}

// end is who is at an end of an operation: where no workload is, the address.
func end(w *flow.Workload, remote string) string {
	if remote != "" && (w == nil || w.Runtime == flow.RuntimeWorld) {
		return remote
	}
	return name(w)
}

// word is one cell of a table: what comes from a peer is as long as it likes.
func word(s string) string {
	const most = 100
	if s == "" {
		return "-"
	}
	if len(s) <= most {
		return printer.Sanitize(s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return printer.Sanitize(s[:cut]) + "…"
}

func quantile(ns int64) string {
	if ns <= 0 {
		return "-"
	}
	return time.Duration(ns).Round(10 * time.Microsecond).String()
}

func name(w *flow.Workload) string {
	if w == nil {
		return "world"
	}
	return w.String()
}

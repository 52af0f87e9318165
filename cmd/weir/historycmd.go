package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// historyOptions are what one call of weir history shall do.
type historyOptions struct {
	since, until string
	workload     string
	limit        int
	output       string
}

func (a *app) historyCommand() *cobra.Command {
	o := historyOptions{output: "text", limit: 50}
	cmd := &cobra.Command{
		Use:     "history",
		GroupID: groupLook,
		Short:   "Show requests, errors and durations of the past",
		Long: `history shows what workloads asked of each other over some time: requests, errors
and durations of each operation, the busiest first, out of what the daemon keeps on
disk. The daemon need not run. Flows of the past are shown by weir observe --since.`,
		Example: `  sudo weir history --since 2h
  sudo weir history --since 2026-06-01T08:00:00Z --until 2026-06-01T09:00:00Z --workload shop/web
  sudo weir history --since 24h -o json | jq '.operations[] | select(.errors > 0)'`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&o.since, "since", "1h", "from this `time` on: a duration back from now (5m) or a date")
	fs.StringVar(&o.until, "until", "", "until this `time`, given as for --since; now when empty")
	fs.StringVar(&o.workload, "workload", "", "only what this `workload` asked or was asked, as the table names it")
	intVar(fs, &o.limit, "limit", 1, 1<<16, "operations to show")
	choiceVar(fs, &o.output, "output", "o", []string{"text", "json"}, "format")
	a.cfg.stateFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error { return a.showHistory(ctx, o) })
	return cmd
}

func (a *app) showHistory(ctx context.Context, o historyOptions) error {
	now := time.Now()
	since, until, err := o.window(now)
	if err != nil {
		return &usageError{err: err, help: "weir history"}
	}
	r, err := a.readHistory()
	if err != nil {
		return err
	}
	defer r.Close()
	extent, err := r.Extent(ctx)
	if err != nil {
		return err
	}
	all, err := r.RED(ctx, since, until)
	if err != nil {
		return err
	}
	ops := o.choose(all)
	shown := ops[:min(len(ops), o.limit)]
	if o.output == "json" {
		return writeHistoryJSON(a.out, since, until, extent, shown)
	}
	return writeHistory(a.out, extent, shown, until.Sub(since), len(ops)-len(shown))
}

// readHistory opens what a daemon has kept, or keeps. Who reads must close it.
func (a *app) readHistory() (*history.Reader, error) {
	r, err := history.NewReader(a.historyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no history is kept at %s: weir run keeps one, unless --history is 0", a.historyPath())
	}
	return r, err
}

// window is the time that is asked for.
func (o historyOptions) window(now time.Time) (since, until time.Time, err error) {
	until = now
	if since, err = filter.ParseTime(now, o.since); err != nil {
		return since, until, fmt.Errorf("--since: %w", err)
	}
	if o.until != "" {
		if until, err = filter.ParseTime(now, o.until); err != nil {
			return since, until, fmt.Errorf("--until: %w", err)
		}
	}
	if until.Before(since) {
		return since, until, errors.New("--until is before --since")
	}
	return since, until, nil
}

// choose gives the operations that are asked for, the busiest first.
func (o historyOptions) choose(ops []history.RED) []history.RED {
	if o.workload != "" {
		ops = slices.DeleteFunc(ops, func(r history.RED) bool { return !calls(r.Client, o.workload) && !calls(r.Server, o.workload) })
	}
	slices.SortFunc(ops, func(a, b history.RED) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Route, b.Route))
	})
	return ops
}

// calls tells whether name is what s means: with its namespace or without.
func calls(name, s string) bool { return name == s || strings.HasSuffix(name, "/"+s) }

func writeHistory(w io.Writer, e history.Extent, ops []history.RED, window time.Duration, more int) error {
	tab := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "CLIENT\tSERVER\tPROTOCOL\tOPERATION\tREQUESTS\tPER SECOND\tERRORS\tP50\tP99")
	for _, r := range ops {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t%s\t%s\n", printer.Sanitize(r.Client), printer.Sanitize(r.Server), r.Protocol,
			printer.Sanitize(strings.TrimSpace(r.Method+" "+r.Route)), grouped(r.Requests), float64(r.Requests)/max(window.Seconds(), 1),
			grouped(r.Errors), latencyText(&r, 0.5), latencyText(&r, 0.99))
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(w, "and %s more operations\n", grouped(more))
	}
	kept := "no flows"
	if e.Flows > 0 {
		kept = fmt.Sprintf("%s flows since %s", grouped(e.Flows), e.First.Format(time.DateTime))
	}
	_, err := fmt.Fprintf(w, "kept: %s, %s\n", kept, size(e.Bytes))
	return err
}

func latencyText(r *history.RED, q float64) string {
	if r.Latencies.Count == 0 {
		return "-"
	}
	d := time.Duration(r.Latencies.Quantile(q))
	return d.Round(max(d/100, 1)).String()
}

// The form of weir history -o json.
type historyJSON struct {
	Since      time.Time         `json:"since"`
	Until      time.Time         `json:"until"`
	Flows      uint64            `json:"flows_kept"`
	First      *time.Time        `json:"first_flow,omitempty"`
	Bytes      int64             `json:"bytes"`
	Operations []historyOperated `json:"operations"`
}

type historyOperated struct {
	Client   string `json:"client"`
	Server   string `json:"server"`
	Protocol string `json:"protocol"`
	Method   string `json:"method,omitempty"`
	Route    string `json:"route,omitempty"`
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Sent     uint64 `json:"request_bytes"`
	Received uint64 `json:"response_bytes"`
	P50      int64  `json:"p50_ns"`
	P99      int64  `json:"p99_ns"`
}

func writeHistoryJSON(w io.Writer, since, until time.Time, e history.Extent, ops []history.RED) error {
	out := historyJSON{Since: since, Until: until, Flows: e.Flows, Bytes: e.Bytes, Operations: []historyOperated{}}
	if e.Flows > 0 {
		out.First = &e.First
	}
	for i := range ops {
		r := &ops[i]
		out.Operations = append(out.Operations, historyOperated{
			printer.Sanitize(r.Client), printer.Sanitize(r.Server), r.Protocol.String(), printer.Sanitize(r.Method), printer.Sanitize(r.Route), r.Requests, r.Errors, r.Sent, r.Received,
			r.Latencies.Quantile(0.5), r.Latencies.Quantile(0.99),
		})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

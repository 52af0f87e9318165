package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

func (a *app) statusCommand() *cobra.Command {
	var wait time.Duration
	output := "text"
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupRun,
		Short:   "Show how the daemon does",
		Long: `status shows what the daemon holds, how fast flows come, what was lost, and
whether the account of its events adds up. It fails when no daemon runs, or when
the daemon is not ready.`,
		Example: `  weir status
  weir status --wait 10s      # for scripts: until it is ready
  weir status -o json | jq .lost`,
		Args: noArgs,
	}
	a.cfg.clientFlags(cmd.Flags())
	durationVar(cmd.Flags(), &wait, "wait", 0, time.Hour, "wait so long for the daemon to be ready")
	choiceVar(cmd.Flags(), &output, "output", "o", []string{"text", "json"}, "format")
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		s, err := a.awaitStatus(ctx, wait)
		if s != nil {
			if err := a.printStatus(s, output); err != nil {
				return err
			}
		}
		return err
	})
	return cmd
}

// awaitStatus asks until the daemon is ready or the time is over. It may give
// both a status and an error: a daemon that is not ready.
func (a *app) awaitStatus(ctx context.Context, wait time.Duration) (*control.Status, error) {
	const pause = 100 * time.Millisecond
	deadline := time.Now().Add(wait)
	for {
		s, err := a.getStatus(ctx)
		if err == nil && !s.Ready {
			err = fmt.Errorf("the daemon is not ready: %s", printer.Sanitize(s.Reason))
		}
		if err == nil || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			if err != nil && wait > 0 && errors.Is(err, errNoDaemon) {
				err = fmt.Errorf("waited %s: %w", wait, err)
			}
			return s, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (a *app) getStatus(ctx context.Context) (*control.Status, error) {
	cc, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := control.Get(ctx, cc)
	if err != nil {
		return nil, daemonError(ctx, err)
	}
	return s, nil
}

func (a *app) printStatus(s *control.Status, output string) error {
	if output == "json" {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	w := bufio.NewWriter(a.out)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, printer.Sanitize(fmt.Sprintf(format, args...)))
	}
	state := "ready"
	if !s.Ready {
		state = "not ready: " + s.Reason
	}
	row("daemon", "weir %s, process %d, up %s, %s in memory, %s", s.Version, s.PID, span(s.Time.Sub(s.Started)), size(s.Memory), state)
	row("flows", "%s live; table %s of %s; newest %s of %s kept", grouped(s.Flows.Live),
		grouped(s.Flows.Table), grouped(s.Flows.TableMax), grouped(s.Flows.Kept), grouped(s.Flows.KeptMax))
	row("rates", "%.1f flows/s, %s/s", s.Flows.PerSecond, size(s.Flows.Bytes))
	row("events", "%s in, %s records made, %s flows evicted", grouped(s.Pipeline.Events), grouped(s.Pipeline.Records), grouped(s.Pipeline.Evicted))
	row("kernel", "%s", kernelLine(s.Kernel))
	for _, m := range s.Kernel.Missing {
		row("  missing", "%s", m)
	}
	row("policies", "%s", policiesLine(s.Policies))
	row("lost", "%s", lostLine(s.Lost))
	for _, r := range s.Runtimes {
		if r.Connected || r.Error != "" { // most hosts have one or two of them
			row("runtime", "%s", runtimeLine(r))
		}
	}
	row("listens", "%s", s.Listen.Socket)
	if s.Listen.Hubble != "" {
		row("  hubble", "%s", s.Listen.Hubble)
	}
	if s.Listen.Metrics != "" {
		row("  metrics", "http://%s/metrics", s.Listen.Metrics)
	}
	return w.Flush()
}

func policiesLine(p control.Policies) string {
	line := fmt.Sprintf("%d enforced, %d audited; %s denied, %s would have been", p.Enforced, p.Audited, grouped(p.Denied), grouped(p.Would))
	switch {
	case p.Foreign:
		line = "none of its own; others are at work, see `weir policy status`"
	case p.Enforced+p.Audited == 0:
		line = "none"
	}
	if p.Failure != "" {
		line += "; they do not hold as they should: " + p.Failure
	}
	return line
}

func kernelLine(k control.Kernel) string {
	t := k.Total()
	line := fmt.Sprintf("%d programs; %s events produced = %s delivered + %s lost", k.Programs,
		grouped(t.Produced), grouped(t.Delivered), grouped(t.Lost))
	switch n := k.Waiting(); {
	case n == 0:
	case k.Balanced():
		line += fmt.Sprintf(" + %s waiting", grouped(n))
	default:
		line += fmt.Sprintf(" + %s unaccounted", grouped(n))
	}
	return line
}

func lostLine(lost []control.Loss) string {
	if len(lost) == 0 {
		return "nothing"
	}
	line := ""
	for i, l := range lost {
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("%s %s/%s", grouped(l.Count), l.Stage, l.Reason)
	}
	return line
}

func runtimeLine(r control.Runtime) string {
	line := r.Name
	if r.Socket != "" {
		line += " " + r.Socket
	}
	if r.Connected {
		return line + ": connected"
	}
	return line + ": " + r.Error
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/collector/replay"
)

func (a *app) recordCommand() *cobra.Command {
	var output string
	var period time.Duration
	cmd := &cobra.Command{
		Use:     "record",
		GroupID: groupLook,
		Short:   "Record events into a file, to look at later or elsewhere",
		Long: `record captures and writes every event into a file: addresses, names, sizes and
times, and of requests the method, the path without its query, the status and
the names that were asked for; no payload, and of headers only traceparent. top
and observe read it with --file, without privileges, as often as wanted. It
stops when it is interrupted or --for is over. Whatever goes wrong, what was
written until then can be read.`,
		Example: `  sudo weir record -o incident.weir.gz
  sudo weir record -o incident.weir.gz --for 5m
  weir observe --file incident.weir.gz --verdict DROPPED`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.StringVarP(&output, "output", "o", "", "`file` to write, replaced where it exists, compressed where it ends in .gz (required)")
	durationVar(fs, &period, "for", 0, maxPeriod, "stop after this time")
	a.cfg.captureFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		if output == "" {
			return &usageError{err: errors.New("--output says which file to write, and is missing"), help: "weir record"}
		}
		return a.record(ctx, output, period)
	})
	return cmd
}

func (a *app) record(ctx context.Context, path string, period time.Duration) error {
	meta := replay.Meta{Weir: thisBuild().Version, Host: hostName(), Kernel: kernelRelease(), Started: time.Now().UnixNano()}
	f, err := a.openCapture(func(src collector.Source, names *identity.Resolver) (collector.Source, error) {
		w, err := replay.Create(path, meta)
		if err != nil {
			return nil, err
		}
		r := replay.NewRecorder(src, w, replay.RecorderOptions{Unredacted: a.cfg.unredacted, Logger: a.log})
		// The hook lives as long as the process: nothing else uses these names.
		names.OnWorkload(r.Workload)
		return r, nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := withPeriod(ctx, period)
	defer cancel()
	fmt.Fprintf(a.err, "weir: recording into %s until interrupted\n", path)
	shown := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	go func() {
		defer close(shown)
		a.keepLine(watching, func() string { return progressLine(path, f.Health()) })
	}()
	err = f.run(ctx)
	stop()
	<-shown
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	fmt.Fprintf(a.err, "weir: %s\n", progressLine(path, f.Health()))
	return nil
}

// keepLine keeps one line up to date, on a terminal, until ctx is done.
func (a *app) keepLine(ctx context.Context, line func() string) {
	if !a.errTTY {
		return
	}
	every(ctx, time.Second, func() { fmt.Fprintf(a.err, "\r\x1b[K%s", line()) })
	io.WriteString(a.err, "\r\x1b[K")
}

func progressLine(path string, h collector.Health) string {
	var bytes int64
	if info, err := os.Stat(path); err == nil {
		bytes = info.Size()
	}
	return fmt.Sprintf("%s events, %s, lost: %s", grouped(h.Events), size(bytes), lostLine(control.Losses(h.Lost)))
}

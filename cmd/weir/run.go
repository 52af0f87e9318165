package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: groupRun,
		Short:   "Run the daemon",
		Long: `run captures for as long as the host is up: it keeps the newest flows, serves them
to weir's commands and to Hubble's, and counts them for Prometheus. One runs on a
host. It writes its messages to standard error, tells systemd when it is ready,
and stops on SIGTERM. When it was killed, the next one takes its place. Where capture
cannot start and there are policies to hold, it holds them, says that it is not
ready, and tries again to capture, every five minutes at least; without policies it
ends.

Every setting can also stand in the configuration file or the environment; weir
config shows what holds.`,
		Example: `  sudo weir run
  sudo weir run --metrics-listen 127.0.0.1:9000 --ring 200000
  sudo weir run --hubble-listen '' --log-format json
  hubble observe --server unix:///run/weir/hubble.sock   # another terminal`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	a.cfg.clientFlags(fs)
	a.cfg.daemonFlags(fs)
	a.cfg.captureFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error { return a.run(ctx) })
	return cmd
}

// run is the daemon. Everything that can be wrong with the host is found, and
// said, before systemd is told that it is ready.
func (a *app) run(ctx context.Context) error {
	lock, err := lockState(a.cfg.stateDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := prepareBPFFS(a.cfg.bpfFS); err != nil {
		a.log.Warn("pins are not possible; nothing needs them yet", "error", err)
	}
	tuneMemory()
	d, err := a.newDaemon()
	if err != nil {
		return err
	}
	err = d.serve(ctx)
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	a.log.Info("stopped", "up", span(d.up()))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/bpf/enforcer"
)

func (a *app) uninstallCommand() *cobra.Command {
	var yes, purge bool
	cmd := &cobra.Command{
		Use:     "uninstall",
		GroupID: groupRun,
		Short:   "Take out everything that weir has put into this host",
		Long: `uninstall takes all policies out of the kernel and the pins out of the BPF file
system; with --purge also everything in the state directory: policies, what was
learned, history. It wants the daemon to be stopped. The program itself, its unit
and its configuration belong to whoever installed them.`,
		Example: `  sudo systemctl stop weir && sudo weir uninstall
  sudo weir uninstall --purge --yes`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&yes, "yes", false, "do not ask")
	fs.BoolVar(&purge, "purge", false, "remove the state directory too")
	a.cfg.clientFlags(fs)
	a.cfg.placeFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		if os.Geteuid() != 0 {
			return errors.New("only root may uninstall weir: use sudo")
		}
		if !yes {
			if err := a.confirm(os.Stdin, "Nothing will be denied any more. Type uninstall to go on: ", "uninstall"); err != nil {
				return err
			}
		}
		return a.uninstall(ctx, purge)
	})
	return cmd
}

func (a *app) uninstall(ctx context.Context, purge bool) error {
	// The state's lock is the daemon's while one runs.
	if _, err := os.Stat(a.cfg.stateDir); err == nil {
		lock, err := lockState(a.cfg.stateDir)
		if err != nil {
			return fmt.Errorf("stop the daemon first: %w", err)
		}
		defer lock.Close()
	}
	if cc, err := a.dial(ctx); err == nil {
		cc.Close()
		return errors.New("a daemon runs: stop it first")
	}
	if enforcer.Pinned(a.pinDir()) {
		a.say("policies: taken out of the kernel")
	} else {
		a.say("policies: none was at work")
	}
	if err := enforcer.Remove(a.pinDir()); err != nil {
		return err
	}
	for _, dir := range []string{a.pinDir(), a.cfg.bpfFS} {
		// What is not empty is not weir's alone.
		if err := os.Remove(dir); err == nil {
			a.say("%s: removed", dir)
		}
	}
	if !purge {
		a.say("%s: kept; --purge removes it", a.cfg.stateDir)
		return nil
	}
	if err := os.RemoveAll(a.cfg.stateDir); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	a.say("%s: removed", a.cfg.stateDir)
	return nil
}

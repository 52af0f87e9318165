package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/enforce/baseline"
)

func (a *app) learnCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "learn",
		GroupID: groupRule,
		Short:   "Learn what is normal, as the ground for policies",
		Long: `learn has the daemon keep for each workload whom it speaks to, over which ports and
names, with which requests. It goes on over restarts of the daemon and says what it
could not see. weir policy suggest makes policies of it.`,
		Example: `  sudo weir learn start --for 24h
  weir learn status
  weir policy suggest shop/web`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return cmd.Help()
		},
	}
	cmd.AddCommand(a.learnStartCommand(), a.learnStopCommand(), a.learnStatusCommand())
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
	}
	return cmd
}

func (a *app) learnStartCommand() *cobra.Command {
	var r learnRequest
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Begin to learn",
		Long: `start begins to learn, and adds to what was learned before. It ends after --for, or
with learn stop.`,
		Example: `  sudo weir learn start --for 24h
  sudo weir learn start --forget     # from nothing`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	durationVar(fs, &r.For, "for", 0, 366*24*time.Hour, "stop after this time")
	fs.BoolVar(&r.Forget, "forget", false, "forget what was learned before")
	a.learnAction(cmd, "LearnStart", &r)
	return cmd
}

func (a *app) learnStopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "stop",
		Short:   "Stop to learn, and keep what was learned",
		Example: `  sudo weir learn stop`,
		Args:    noArgs,
	}
	a.learnAction(cmd, "LearnStop", &learnRequest{})
	return cmd
}

func (a *app) learnStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what was learned, and how complete it is",
		Example: `  weir learn status
  weir learn status -o json`,
		Args: noArgs,
	}
	a.learnAction(cmd, "LearnStatus", &learnRequest{})
	return cmd
}

// learnAction is what the three commands do: ask, and print the status.
func (a *app) learnAction(cmd *cobra.Command, method string, r *learnRequest) {
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		var s baseline.Status
		if err := a.ask(ctx, method, r, &s); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(s)
		}
		a.printLearned(&s)
		return nil
	})
}

func (a *app) printLearned(s *baseline.Status) {
	switch {
	case s.Learning && s.Left > 0:
		a.say("learning since %s, for another %s", s.Since.Local().Format(time.DateTime), span(s.Left))
	case s.Learning:
		a.say("learning since %s, until `weir learn stop`", s.Since.Local().Format(time.DateTime))
	case s.Since.IsZero():
		a.say("nothing was learned yet; `weir learn start` begins it")
		return
	default:
		a.say("not learning; the last time began %s", s.Since.Local().Format(time.DateTime))
	}
	c := s.Completeness
	a.say("%s, in %s of %s", plural(s.Workloads, "workload"), size(s.Bytes), size(s.MaxBytes))
	a.say("%s in %s", baseline.Span(c.Learned), plural(c.Windows, "window"))
	for _, gap := range c.Gaps() {
		a.say("not proven complete: %s", gap)
	}
	if s.SetAside != nil {
		a.say("a damaged file was set aside as %s: %s", s.SetAside.Path, s.SetAside.Reason)
	}
}

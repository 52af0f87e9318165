package main

import (
	"bytes"
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

func (a *app) policyStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which policies hold, in which mode, and what they deny",
		Long: `status shows every policy with its mode, the workloads that it selects, and what it
denied, or would have, since it came into that mode: who, to whom, by which rule.`,
		Example: `  weir policy status
  weir policy status -o json | jq '.policies[] | {name, mode, audited, denied}'`,
		Args: noArgs,
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		var s enforce.Status
		if err := a.ask(ctx, "Status", nil, &s); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(s)
		}
		a.printPolicyStatus(&s, time.Now())
		return nil
	})
	return cmd
}

func (a *app) printPolicyStatus(s *enforce.Status, now time.Time) {
	switch {
	case s.Foreign:
		a.say("Policies are at work that another daemon put there, and that are not kept here; `weir policy off` takes them out.")
	case len(s.Policies) == 0:
		a.say("No policy is at work.")
	}
	if s.SetAside != nil {
		a.say("%s", s.SetAside)
		a.say("Put it right and move it back to state.json, or give the policies anew with `weir policy audit` and remove it; then start weir again.")
	}
	if s.Failure != "" {
		a.say("The policies do not hold as they should; what was applied before does: %s", s.Failure)
	}
	for i := range s.Policies {
		e := &s.Policies[i]
		if i > 0 {
			a.say("")
		}
		a.say("%s (%s): %s", e.Name, e.Kind, modeLine(&e.Stored, now))
		verb := "selects"
		if e.Kind == "Guard" {
			verb = "allows"
		}
		if len(e.Selected) == 0 {
			a.say("  %s no workload that is there", verb)
		} else {
			a.say("  %s %s", verb, listed(e.Selected, 8))
		}
		a.say("  %d denied, %d would have been", e.Denied, e.Audited)
		for j := range e.Tallies {
			a.say("  %s", tallyLine(&e.Tallies[j]))
		}
	}
	for _, u := range s.Uncovered {
		a.say("not judged, frames past the IP stack: %s", u)
	}
	if s.Early > 0 {
		a.say("not judged: at most %d frames of new containers, before their devices were covered (the slowest took %.1f ms)", s.Early, s.CoverMS)
	}
	if s.Shut {
		a.say("closed: %d cgroups came that the kernel's table had no room for; what has no place there may do nothing", s.Homeless)
	}
	if s.Lost > 0 {
		a.say("%d verdicts are not counted: the kernel's table was full", s.Lost)
	}
}

// tallyLine says what a policy did, how often and by which rule.
func tallyLine(t *enforce.Tally) string {
	if t.Denied {
		return "denied: " + t.String()
	}
	return "would deny: " + t.String()
}

func modeLine(p *enforce.Stored, now time.Time) string {
	line := fmt.Sprintf("%s, for %s", p.Mode, span(now.Sub(p.Since)))
	if p.Until != nil {
		line += fmt.Sprintf(", back to audit in %s", span(p.Until.Sub(now)))
	}
	return line
}

func listed(names []string, most int) string {
	line := ""
	for i, n := range names {
		if i == most {
			return fmt.Sprintf("%s and %d more", line, len(names)-most)
		}
		if i > 0 {
			line += ", "
		}
		line += n
	}
	return line
}

func (a *app) policyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the policies, a line each",
		Example: `  weir policy list`,
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		var s enforce.Status
		if err := a.ask(ctx, "Status", nil, &s); err != nil {
			return err
		}
		if *output == "json" {
			for i := range s.Policies {
				s.Policies[i].Tallies = nil
			}
			return a.printJSON(s.Policies)
		}
		var b bytes.Buffer
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tKIND\tMODE\tSELECTED\tAUDITED\tDENIED")
		for i := range s.Policies {
			e := &s.Policies[i]
			mode := string(e.Mode)
			if e.Until != nil {
				mode += " until " + e.Until.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\n", printer.Sanitize(e.Name), e.Kind, mode, len(e.Selected), e.Audited, e.Denied)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		_, err := a.out.Write(b.Bytes())
		return err
	})
	return cmd
}

func (a *app) policyShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Print the file that a policy was given in",
		Example: `  weir policy show shop/web`,
		Args:    wantArgs(1, 1, "NAME: the policy to show"),
	}
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		v, err := a.policyView(ctx)
		if err != nil {
			return err
		}
		p, err := v.find(args[0])
		if err != nil {
			return err
		}
		text := v.Texts[p.Source]
		if a.outTTY {
			text = []byte(sanitizeLines(string(text)) + "\n")
		}
		_, err = a.out.Write(text)
		return err
	})
	return cmd
}

func (a *app) policyHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "List what was changed, the newest first",
		Example: `  weir policy history`,
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		var all []enforce.Revision
		if err := a.ask(ctx, "History", nil, &all); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(all)
		}
		for _, r := range all {
			a.say("%4d  %s  %s", r.Number, r.Time.Local().Format(time.DateTime), r.Change)
		}
		return nil
	})
	return cmd
}

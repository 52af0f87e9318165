package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/policy"
	"github.com/seed79351815/weir/enforce/simulate"
)

func (a *app) policyExplainCommand() *cobra.Command {
	var files []string
	var asked string
	cmd := &cobra.Command{
		Use:   "explain WORKLOAD DESTINATION:PORT[/PROTOCOL]",
		Short: "Say what becomes of a connection, and by which rule",
		Long: `explain asks, for both ends that are on this host, what the policies that hold make
of a connection, and names the rule that decides and the others that speak of it.
DESTINATION is a workload, an address, a DNS name, or NAME=ADDRESS for a name that
was answered with that address. With --dns it is a resolver, and is asked for that
name.`,
		Example: `  weir policy explain shop/web shop/db:3306
  weir policy explain shop/web 203.0.113.9:443
  weir policy explain shop/web 192.0.2.53:53/UDP --dns api.payment.example
  weir policy explain shop/web db:3306 --file new.yaml   # as if these held too`,
		Args: wantArgs(2, 2, "WORKLOAD and DESTINATION:PORT"),
	}
	fs := cmd.Flags()
	fs.StringVar(&asked, "dns", "", "the DNS `name` that the destination, a resolver, is asked for: judge the question too")
	fs.StringArrayVar(&files, "file", nil, "policies in this `file` hold too, and replace those of the same names; may be given again")
	output := outputFlag(cmd)
	a.cfg.clientFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		q, err := policy.ParseQuestion(args[0], args[1])
		if err != nil {
			return &usageError{err: err}
		}
		q.Asked = asked
		v, err := a.policyView(ctx)
		if err != nil {
			return err
		}
		policies, err := v.policies(v.Stored)
		if err != nil {
			return err
		}
		if policies, err = replaced(policies, files); err != nil {
			return err
		}
		e, err := policy.Explain(policies, v.Workloads, q)
		if err != nil {
			return errors.New(sanitizeLines(err.Error()))
		}
		if *output == "json" {
			return a.printJSON(e)
		}
		fmt.Fprintln(a.out, sanitizeLines(e.String()))
		return nil
	})
	return cmd
}

// replaced are policies with those of files in the place of their namesakes.
func replaced(policies []*policy.Policy, files []string) ([]*policy.Policy, error) {
	if len(files) == 0 {
		return policies, nil
	}
	more, problems := policy.ReadAll(files...)
	if err := problems.Err(); err != nil {
		return nil, errors.New(sanitizeLines(err.Error()))
	}
	out := more
	for _, p := range policies {
		same := false
		for _, o := range more {
			same = same || o.String() == p.String()
		}
		if !same {
			out = append(out, p)
		}
	}
	return out, nil
}

func (a *app) policyExportCommand() *cobra.Command {
	format := string(policy.FormatCilium)
	cmd := &cobra.Command{
		Use:   "export NAME",
		Short: "Write a policy in the format of Cilium or Kubernetes",
		Long: `export writes a policy that holds so that Cilium, or Kubernetes, reads the same out of
it. What cannot be said there is an error with its place, never left out.`,
		Example: `  weir policy export shop/web --format cilium
  weir policy export shop/web --format k8s | kubectl diff -f -`,
		Args: wantArgs(1, 1, "NAME: the policy to export"),
	}
	fs := cmd.Flags()
	choiceVar(fs, &format, "format", "", []string{string(policy.FormatCilium), string(policy.FormatKubernetes)}, "whose format")
	a.cfg.clientFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		v, err := a.policyView(ctx)
		if err != nil {
			return err
		}
		s, err := v.find(args[0])
		if err != nil {
			return err
		}
		policies, err := v.policies(append(v.Stored[:0:0], s))
		if err != nil {
			return err
		}
		text, problems := policy.Export(policies, policy.Format(format))
		if a.showProblems(problems) {
			return fmt.Errorf("policy %q: it cannot be written in that format", s.Name)
		}
		_, err = a.out.Write(text)
		return err
	})
	return cmd
}

func (a *app) policySuggestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suggest WORKLOAD",
		Short: "Write a policy that allows what a workload was seen to do",
		Long: `suggest makes a policy of what weir learn has seen a workload do: the least that
allows it, each rule with its evidence as a comment. It is in mode audit. What is
not proven is said in the policy and on standard error.`,
		Example: `  weir policy suggest shop/web > web.yaml
  weir policy suggest shop/web | sudo weir policy audit -`,
		Args: wantArgs(1, 1, "WORKLOAD: as `weir learn status` and observe name it"),
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		var s suggestion
		if err := a.ask(ctx, "Suggest", nameRequest{args[0]}, &s); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(struct {
				YAML     string   `json:"yaml"`
				Unproven []string `json:"unproven"`
				LeftOut  []string `json:"left_out"`
			}{string(s.YAML), s.Unproven, s.LeftOut})
		}
		for _, line := range s.Unproven {
			fmt.Fprintln(a.err, sanitizeLines("not proven: "+line))
		}
		for _, line := range s.LeftOut {
			fmt.Fprintln(a.err, sanitizeLines("left out: "+line))
		}
		_, err := a.out.Write(s.YAML)
		return err
	})
	return cmd
}

func (a *app) policySimulateCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "simulate FILE...",
		Short: "Say what policies would have denied in a recording",
		Long: `simulate judges every flow of a recording, and every question of DNS, by the policies
in files, as if all of them were enforced, and says what would have been denied, by
which rule. It exits with 3 when something that worked would have been.`,
		Example: `  sudo weir record -o day.weir.gz --for 24h
  weir policy simulate web.yaml --file day.weir.gz`,
		Args: wantArgs(1, manyFiles, "FILE: the policies to judge by"),
	}
	cmd.Flags().StringVar(&o.file, "file", "", "the `recording` to judge (required)")
	output := outputFlag(cmd)
	a.cfg.maxFlows = 65536
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		if o.file == "" {
			return &usageError{err: errors.New("--file says which recording to judge, and is missing"), help: "weir policy simulate"}
		}
		policies, problems := policy.ReadAll(args...)
		if err := problems.Err(); err != nil {
			return errors.New(sanitizeLines(err.Error()))
		}
		src, err := o.open()
		if err != nil {
			return err
		}
		g := simulate.NewGatherer()
		if err := a.replayFrom(src, g).run(ctx); err != nil {
			return fmt.Errorf("recording: %w", err)
		}
		report, problems := g.Run(policies, policy.Limits{})
		if a.showProblems(problems); report == nil {
			return errors.New("the policies cannot be applied as they are written")
		}
		return a.printSimulation(report, *output)
	})
	return cmd
}

func (a *app) printSimulation(r *simulate.Report, output string) error {
	var err error
	if output == "json" {
		for i := range r.Denials {
			r.Denials[i].Example = flow.Flow{} // the host's processes are nobody's business here
		}
		err = a.printJSON(r)
	} else {
		err = r.Write(a.out)
	}
	if err == nil && r.Found() {
		err = errFindings
	}
	return err
}

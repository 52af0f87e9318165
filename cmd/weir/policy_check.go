package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/enforce/policy"
)

func (a *app) policyCheckCommand() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Find what is wrong with policies before they are used",
		Long: `check reads policies and says what is wrong, or probably not meant, with file, line
and column. Where a daemon runs, selectors and addresses are compared with the
workloads that are there. It exits with 3 when it finds an error,
and with 1 when it cannot read a file.`,
		Example: `  weir policy check web.yaml
  weir policy check --strict policies/   # warnings count too`,
		Args: wantArgs(1, manyFiles, "FILE: the policies to check"),
	}
	fs := cmd.Flags()
	fs.BoolVar(&strict, "strict", false, "exit with 3 for warnings too")
	output := outputFlag(cmd)
	a.cfg.clientFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		policies, problems := policy.ReadAll(args...)
		if problems.Err() == nil {
			workloads, running, err := a.knownWorkloads(ctx)
			if err != nil {
				return err
			}
			if running {
				problems = append(problems, policy.Check(policies, workloads, policy.Limits{})...)
			} else {
				// Without workloads every selector selects nobody: that says nothing.
				_, found := policy.Compile(policies, nil, policy.Limits{})
				problems = append(problems, found...)
			}
		}
		return a.printCheck(policies, problems, *output, strict)
	})
	return cmd
}

// found is a problem as JSON.
type found struct {
	Severity string `json:"severity"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Policy   string `json:"policy,omitempty"`
	Text     string `json:"text"`
}

func (a *app) printCheck(policies []*policy.Policy, problems policy.Problems, output string, strict bool) error {
	if output == "json" {
		out := []found{}
		for _, p := range problems {
			out = append(out, found{p.Severity.String(), p.Pos.File, p.Pos.Line, p.Pos.Col, p.Policy, p.Text})
		}
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			if !p.Unread { // which fails
				fmt.Fprintln(a.out, sanitizeLines(p.String()))
			}
		}
		if problems.Err() == nil {
			a.say("%d policies, %d warnings", len(policies), len(problems))
		}
	}
	unread := slices.DeleteFunc(slices.Clone(problems), func(p policy.Problem) bool { return !p.Unread })
	if err := unread.Err(); err != nil {
		return errors.New(sanitizeLines(err.Error()))
	}
	if problems.Err() != nil || strict && len(problems) > 0 {
		return errFindings
	}
	return nil
}

func (a *app) policyDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff FILE...",
		Short: "Show what files would change of the policies that hold",
		Long: `diff compares the policies in files with those of the same names that hold, in what
they mean: comments and the order of rules do not count, nor do policies that no
file speaks of. It exits with 3 when there is a difference.`,
		Example: `  weir policy diff web.yaml`,
		Args:    wantArgs(1, manyFiles, "FILE: the policies to compare"),
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		after, problems := policy.ReadAll(args...)
		if err := problems.Err(); err != nil {
			return errors.New(sanitizeLines(err.Error()))
		}
		v, err := a.policyView(ctx)
		if err != nil {
			return err
		}
		all, err := v.policies(v.Stored)
		if err != nil {
			return err
		}
		var before []*policy.Policy
		for _, p := range all {
			for i, o := range after {
				if o.String() == p.String() && o.Kind == p.Kind {
					before = append(before, p)
					for _, s := range v.Stored {
						if s.Name == p.String() { // the mode is not the file's to say
							after[i] = enforce.InMode(o, s.Mode)
						}
					}
				}
			}
		}
		changes := policy.Diff(before, after)
		if *output == "json" {
			lines := []string{}
			for _, c := range changes {
				lines = append(lines, c.String())
			}
			if err := a.printJSON(lines); err != nil {
				return err
			}
		} else {
			for _, c := range changes {
				a.say("%s", c)
			}
		}
		if len(changes) > 0 {
			return errFindings
		}
		return nil
	})
	return cmd
}

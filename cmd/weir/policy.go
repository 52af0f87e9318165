package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

const groupRule = "rule"

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		GroupID: groupRule,
		Short:   "Say who may speak to whom, watch what that would deny, and enforce it",
		Long: `policy works with policies: files in the format of Cilium's and Kubernetes' network
policies, and weir's Guard. One is audited first: what it would deny passes and is
counted. Then it is enforced, in the kernel, and stays so when the daemon ends,
however it ends. rollback undoes, off takes out.

Only root may change what is audited and enforced.`,
		Example: `  weir policy check web.yaml
  sudo weir policy audit web.yaml
  weir policy status
  sudo weir policy enforce shop/web --for 10m
  sudo weir policy rollback`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return cmd.Help()
		},
	}
	cmd.AddCommand(
		a.policyCheckCommand(), a.policyDiffCommand(), a.policyExplainCommand(), a.policySimulateCommand(), a.policySuggestCommand(), a.policyExportCommand(),
		a.policyAuditCommand(), a.policyEnforceCommand(), a.policyRollbackCommand(), a.policyOffCommand(),
		a.policyStatusCommand(), a.policyListCommand(), a.policyShowCommand(), a.policyHistoryCommand(),
	)
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
	}
	return cmd
}

// ask calls a method of the daemon's.
func (a *app) ask(ctx context.Context, method string, request, answer any) error {
	cc, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer cc.Close()
	return policyError(ctx, control.Call(ctx, cc, control.PolicyService, method, request, answer))
}

// policyError is the daemon's answer without the word before it: what it says is
// about the caller's policies, not about the daemon.
func policyError(ctx context.Context, err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok || s.Code() == codes.Unavailable || errors.Is(ctx.Err(), context.Canceled) {
		return daemonError(ctx, err)
	}
	return errors.New(sanitizeLines(s.Message()))
}

// sanitizeLines makes text of several lines fit for a terminal.
func sanitizeLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = printer.Sanitize(lines[i])
	}
	return strings.Join(lines, "\n")
}

// printJSON writes an answer for programs.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// say writes a line for people.
func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.out, printer.Sanitize(fmt.Sprintf(format, args...)))
}

// outputFlag is -o for commands that print text or JSON.
func outputFlag(cmd *cobra.Command) *string {
	output := "text"
	choiceVar(cmd.Flags(), &output, "output", "o", []string{"text", "json"}, "format")
	return &output
}

// args takes from low to high arguments; what names them for people.
func wantArgs(low, high int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < low:
			return fmt.Errorf("missing %s", what)
		case len(args) > high:
			return fmt.Errorf("unexpected argument %q", strings.ToValidUTF8(args[high], "?"))
		}
		return nil
	}
}

const manyFiles = 1000

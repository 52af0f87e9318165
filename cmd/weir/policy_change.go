package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/bpf/enforcer"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

const maxEnforced = 30 * 24 * time.Hour

func (a *app) policyAuditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit FILE...",
		Short: "Take policies in, and count what they would deny",
		Long: `audit takes the policies of files in. What they would deny passes, is counted by
policy status, and is shown by observe --verdict AUDIT. Policies of the same name
are replaced; one that was enforced is audited from then on. The mode that stands
in a file does not count. All policies of the files are taken in, or none.`,
		Example: `  sudo weir policy audit web.yaml
  sudo weir policy audit policies/    # every file in it that ends in .yaml, .yml or .json
  weir policy suggest web | sudo weir policy audit -`,
		Args: wantArgs(1, manyFiles, "FILE: the policies to audit"),
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		texts, err := readTexts(args, os.Stdin)
		if err != nil {
			return err
		}
		var done enforce.Applied
		if err := a.ask(ctx, "Audit", auditRequest{texts}, &done); err != nil {
			return err
		}
		return a.printApplied(done, *output, "audited")
	})
	return cmd
}

// readTexts reads files, those of directories, and standard input for "-".
func readTexts(paths []string, stdin io.Reader) (out []enforce.Text, err error) {
	read := func(name string, r io.Reader) error {
		const most = 16 << 20
		text, err := io.ReadAll(io.LimitReader(r, most+1))
		if err == nil && len(text) > most {
			err = fmt.Errorf("larger than %d bytes", most)
		}
		if err != nil {
			return fmt.Errorf("policy %s: %w", name, err)
		}
		out = append(out, enforce.Text{Name: name, Text: text})
		return nil
	}
	for _, path := range paths {
		if path == "-" {
			if err := read("standard input", stdin); err != nil {
				return nil, err
			}
			continue
		}
		files := []string{path}
		if entries, err := os.ReadDir(path); err == nil {
			files = nil
			for _, e := range entries {
				if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".json") {
					files = append(files, filepath.Join(path, e.Name()))
				}
			}
		}
		for _, file := range files {
			f, err := os.Open(file)
			if err != nil {
				return nil, fmt.Errorf("policy: %w", err)
			}
			err = read(file, f)
			f.Close()
			if err != nil {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("policy: no file that ends in .yaml, .yml or .json")
	}
	return out, nil
}

func (a *app) policyEnforceCommand() *cobra.Command {
	var period time.Duration
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "enforce NAME",
		Short: "Enforce a policy that is audited",
		Long: `enforce puts a policy from audit into force: what it denies passes no more, and
connections that it no longer allows are ended. It is refused while audit has seen
something that the policy would deny, unless --force is given. With --for it goes
back to audit by itself: use it where the way in could be shut behind you.

It asks for the policy's name again on a terminal; elsewhere it wants --yes.`,
		Example: `  sudo weir policy enforce shop/web --for 10m   # back to audit after ten minutes
  sudo weir policy enforce shop/web --yes       # for good; for scripts`,
		Args: wantArgs(1, 1, "NAME: the policy to enforce; `weir policy list` shows them"),
	}
	fs := cmd.Flags()
	durationVar(fs, &period, "for", 0, maxEnforced, "go back to audit after this time")
	fs.BoolVar(&yes, "yes", false, "do not ask")
	fs.BoolVar(&force, "force", false, "enforce although audit has seen what would be denied")
	output := outputFlag(cmd)
	a.cfg.clientFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		if !yes {
			if err := a.confirm(os.Stdin, "What "+args[0]+" denies will pass no more. Type its name to enforce it: ", args[0]); err != nil {
				return err
			}
		}
		var done enforce.Applied
		if err := a.ask(ctx, "Enforce", enforceRequest{args[0], period, force}, &done); err != nil {
			return err
		}
		what := "enforced"
		if period > 0 {
			what += " for " + period.String()
		}
		return a.printApplied(done, *output, what)
	})
	return cmd
}

// confirm wants a word typed, which nobody types by mistake.
func (a *app) confirm(stdin *os.File, question, word string) error {
	if !isTerminal(stdin) || !a.errTTY {
		return &usageError{err: errors.New("nobody is there to confirm it: give --yes")}
	}
	fmt.Fprint(a.err, printer.Sanitize(question))
	line, err := bufio.NewReader(io.LimitReader(stdin, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != word {
		return errors.New("not confirmed: nothing was changed")
	}
	return nil
}

func (a *app) policyRollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [NAME]",
		Short: "Undo the last change, or the last one of a policy",
		Long: `rollback puts back what held before the last audit, enforce or off; with a NAME it
puts back what held before that policy's last change. It can be given again, to go
further back.`,
		Example: `  sudo weir policy rollback
  sudo weir policy rollback shop/web`,
		Args: wantArgs(0, 1, ""),
	}
	output := outputFlag(cmd)
	a.cfg.clientFlags(cmd.Flags())
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		var done enforce.Applied
		if err := a.ask(ctx, "Rollback", nameRequest{strings.Join(args, "")}, &done); err != nil {
			return err
		}
		return a.printApplied(done, *output, "put back")
	})
	return cmd
}

func (a *app) policyOffCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "off [NAME]",
		Short: "Take policies out: nothing is denied any more",
		Long: `off takes a policy out, or without a NAME all of them, with everything that weir
has in the kernel for them. rollback brings them back. It also works where no
daemon runs: then it takes out of the kernel what is there, and the policies hold
again when a daemon starts.`,
		Example: `  sudo weir policy off shop/web
  sudo weir policy off --yes          # everything`,
		Args: wantArgs(0, 1, ""),
	}
	fs := cmd.Flags()
	fs.BoolVar(&yes, "yes", false, "do not ask")
	output := outputFlag(cmd)
	a.cfg.clientFlags(fs)
	a.cfg.placeFlags(fs)
	cmd.RunE = a.with(func(ctx context.Context, args []string) error {
		name, word := strings.Join(args, ""), "off"
		if name != "" {
			word = name
		}
		if !yes {
			if err := a.confirm(os.Stdin, "Nothing that it denies will be denied any more. Type "+word+" to take it out: ", word); err != nil {
				return err
			}
		}
		var done enforce.Applied
		err := a.ask(ctx, "Off", nameRequest{name}, &done)
		if errors.Is(err, errNoDaemon) && name == "" {
			return a.offWithoutDaemon()
		}
		if err != nil {
			return err
		}
		return a.printApplied(done, *output, "off")
	})
	return cmd
}

// offWithoutDaemon takes out of the kernel what an earlier daemon left.
func (a *app) offWithoutDaemon() error {
	if os.Geteuid() != 0 {
		return errors.New("no daemon runs, and only root may take policies out of the kernel: use sudo")
	}
	pinned := enforcer.Pinned(a.pinDir())
	if err := enforcer.Remove(a.pinDir()); err != nil {
		return err
	}
	if !pinned {
		a.say("no daemon runs, and no policy is at work")
		return nil
	}
	a.say("no daemon runs; the policies that were at work are taken out of the kernel")
	if _, err := os.Stat(filepath.Join(a.policyDir(), "state.json")); err == nil {
		a.say("they are kept in %s, and hold again when a daemon starts", a.policyDir())
	}
	return nil
}

func (a *app) printApplied(done enforce.Applied, output, what string) error {
	if output == "json" {
		return a.printJSON(done)
	}
	for _, w := range done.Warnings {
		fmt.Fprintln(a.err, printer.Sanitize(w))
	}
	for _, name := range done.Changed {
		a.say("%s: %s", name, what)
	}
	if len(done.Changed) == 0 {
		a.say("nothing to change")
	}
	if done.Ended > 0 {
		a.say("%s ended that %s no longer allowed", plural(done.Ended, "connection"), are(done.Ended))
	}
	for _, f := range done.Failed {
		fmt.Fprintln(a.err, printer.Sanitize("not ended, but nothing passes on it: "+f))
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", grouped(n), what)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

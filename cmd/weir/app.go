package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/cmd/weir/settings"
)

// app is one run of the program: its streams, what was configured, and where
// each setting came from. Commands are its methods.
type app struct {
	out, err       io.Writer
	outTTY, errTTY bool
	lookup         func(string) (string, bool) // os.LookupEnv
	environ        []string                    // os.Environ()
	openKernel     func(bpf.Config) (*bpf.Capture, error)

	cfg     config
	file    string // the configuration file that was read, empty for none
	origins map[string]settings.Origin
	log     *slog.Logger
	started bool // a command's own work began: what fails now is no wrong usage
}

// runner is a command's work.
type runner func(ctx context.Context, args []string) error

// execute runs the command line and gives the exit status.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		err = a.asUsage(cmd, err)
	}
	if err != nil && !quiet(err) {
		a.complain(err)
	}
	return exitStatus(err)
}

// complain prints an error for a person.
func (a *app) complain(err error) {
	fmt.Fprintf(a.err, "weir: %s\n", err)
	var u *usageError
	if asUsageError(err, &u) && u.help != "" {
		fmt.Fprintf(a.err, "Run `%s --help` for how it is used.\n", u.help)
	}
}

// with makes a command's RunE of its work: settings are read first.
func (a *app) with(run runner) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.load(cmd); err != nil {
			a.started = true
			return &usageError{err: err}
		}
		a.started = true
		if cmd.Name() != "run" && a.origins["log-level"] == settings.FromDefault {
			a.cfg.logLevel = "warn" // what goes well is of interest in a journal only
		}
		a.log = a.newLogger()
		for _, s := range settings.Strangers(knownSettings(), a.environ) {
			a.log.Warn(s)
		}
		if cmd.GroupID == groupLook || cmd.Name() == "run" {
			if err := a.admitSecrets(os.Geteuid()); err != nil {
				return err
			}
		}
		return run(cmd.Context(), args)
	}
}

// load reads the settings of cmd from environment and file.
func (a *app) load(cmd *cobra.Command) error {
	path, required := defaultConfigFile, false
	if v, ok := a.lookup(settings.EnvName("config")); ok && v != "" {
		path, required = v, true
	}
	if cmd.Flags().Changed("config") {
		path, required = a.cfg.file, true
	}
	entries, found, err := settings.ReadFile(path)
	if err != nil {
		return err
	}
	if !found && required {
		return fmt.Errorf("read configuration: %s does not exist", path)
	}
	if found {
		a.file = path
	}
	a.origins, err = settings.Apply(cmd.Flags(), settings.Input{
		Known: knownSettings(), File: path, Entries: entries, Env: a.lookup,
	})
	return err
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// plain tells whether the terminal cannot place a cursor, or is none.
func (a *app) plain() bool {
	term, _ := a.lookup("TERM")
	return !a.outTTY || term == "" || term == "dumb"
}

// color tells whether standard output may be coloured: no-color.org.
func (a *app) color() bool {
	v, _ := a.lookup("NO_COLOR")
	return v == "" && !a.plain()
}

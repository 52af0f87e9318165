package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector/spelling"
)

func asUsageError(err error, u **usageError) bool { return errors.As(err, u) }

// asUsage makes a readable error of what cobra and pflag found wrong.
func (a *app) asUsage(cmd *cobra.Command, err error) error {
	var u *usageError
	if errors.As(err, &u) {
		return err
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		err = fmt.Errorf("%w%s", err, spelling.DidYouMean(unknown.GetSpecifiedName(), names, "--"))
	}
	return &usageError{err: err, help: cmd.CommandPath()}
}

// unknownCommand is the answer of a command that has others to a word that is none.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q%s", args[0], spelling.DidYouMean(args[0], names, cmd.CommandPath()+" "))
}

// noArgs is for commands that take flags only.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q", strings.ToValidUTF8(args[0], "?"))
}

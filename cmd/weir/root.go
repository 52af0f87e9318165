package main

import (
	"github.com/spf13/cobra"
)

const rootLong = `weir shows every network flow of this host with the container behind it.

A daemon (weir run) keeps the newest flows and serves them to the other
commands. Without one, top, observe and record capture by themselves for as
long as they run, which needs root or capabilities; weir doctor says which.`

const rootExample = `  weir top                     # what happens now, live
  weir observe -f --pod shop/  # the flows of the namespace or Compose project "shop"
  weir doctor                  # what this host offers, what is missing
  sudo weir run                # the daemon`

// root builds the whole command line anew: cobra's commands hold state.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "Every network flow of this host, with the container behind it",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return cmd.Help()
		},
	}
	a.cfg.commonFlags(root.PersistentFlags())
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look at flows:"},
		&cobra.Group{ID: groupRule, Title: "Rule who may speak to whom:"},
		&cobra.Group{ID: groupRun, Title: "Run weir:"},
	)
	root.SetHelpCommandGroupID(groupRun)
	root.SetCompletionCommandGroupID(groupRun)
	root.AddCommand(
		a.topCommand(), a.observeCommand(), a.recordCommand(), a.captureCommand(), a.historyCommand(),
		a.learnCommand(), a.policyCommand(),
		a.runCommand(), a.statusCommand(), a.doctorCommand(), a.configCommand(), a.dashboardsCommand(), a.versionCommand(),
		a.uninstallCommand(), a.manCommand(),
	)
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
	}
	return root
}

// commands are root's that do something themselves, at any depth, in its order.
func commands(root *cobra.Command) (out []*cobra.Command) {
	for _, c := range root.Commands() {
		switch {
		case c.Hidden || c.Name() == "help":
		case c.HasSubCommands() && c.Name() != "completion": // cobra's own: one for each shell
			out = append(out, commands(c)...)
		default:
			out = append(out, c)
		}
	}
	return out
}

const (
	groupLook = "look"
	groupRun  = "run"
)

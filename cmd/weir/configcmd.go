package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/cmd/weir/settings"
)

func (a *app) configCommand() *cobra.Command {
	output := "yaml"
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupRun,
		Short:   "Print the settings that hold, and where each comes from",
		Long: `config prints every setting as the daemon would have it. What it prints is a
configuration file. Flags come before the environment (WEIR_METRICS_LISTEN for
--metrics-listen), the environment before the file, the file before the default.`,
		Example: `  weir config                               # what holds
  weir config --config ./weir.yaml          # is this file right?
  WEIR_RING=1000 weir config -o json        # for scripts`,
		Args: noArgs,
	}
	a.cfg.clientFlags(cmd.Flags())
	a.cfg.captureFlags(cmd.Flags())
	a.cfg.daemonFlags(cmd.Flags())
	choiceVar(cmd.Flags(), &output, "output", "o", []string{"yaml", "json"}, "format")
	cmd.RunE = a.with(func(context.Context, []string) error {
		if output == "json" {
			return a.configJSON(cmd.Flags())
		}
		return a.configYAML(cmd.Flags())
	})
	return cmd
}

func (a *app) configYAML(fs *pflag.FlagSet) error {
	w := bufio.NewWriter(a.out)
	if a.file != "" {
		fmt.Fprintf(w, "# file: %s\n", a.file)
	}
	var err error
	a.settings(fs, func(name, value string, from settings.Origin) {
		text, e := yaml.Marshal(map[string]string{name: value})
		if e != nil {
			err = e
			return
		}
		// Numbers and sizes are quoted nowhere in a file that a person writes.
		line := string(text[:len(text)-1])
		if isPlain(value) {
			line = name + ": " + value
		}
		if from == settings.FromEnv {
			from = settings.Origin("environment " + settings.EnvName(name))
		}
		fmt.Fprintf(w, "%-44s # %s\n", line, from)
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// isPlain tells whether a value is digits: YAML would quote them as a string.
func isPlain(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

func (a *app) configJSON(fs *pflag.FlagSet) error {
	type setting struct {
		Value string          `json:"value"`
		From  settings.Origin `json:"from"`
	}
	out := struct {
		File     string             `json:"file,omitempty"`
		Settings map[string]setting `json:"settings"`
	}{a.file, map[string]setting{}}
	a.settings(fs, func(name, value string, from settings.Origin) {
		out.Settings[name] = setting{value, from}
	})
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// settings visits every setting of fs by name.
func (a *app) settings(fs *pflag.FlagSet, visit func(name, value string, from settings.Origin)) {
	fs.SortFlags = true
	fs.VisitAll(func(f *pflag.Flag) {
		if from, ok := a.origins[f.Name]; ok {
			visit(f.Name, f.Value.String(), from)
		}
	})
}

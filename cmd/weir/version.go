package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release: -X main.version=1.2.3.
var version string

// build says which weir this is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Time     string `json:"time,omitempty"`     // of the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			case "vcs.time":
				b.Time = s.Value
			}
		}
		if b.Version == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func (b build) String() string {
	s := "weir " + b.Version
	if b.Revision != "" {
		s += " (" + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			s += ", changed"
		}
		s += ")"
	}
	return fmt.Sprintf("%s %s %s", s, b.Go, b.Platform)
}

func (a *app) versionCommand() *cobra.Command {
	output := "text"
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupRun,
		Short:   "Print the version",
		Example: "  weir version\n  weir version -o json",
		Args:    noArgs,
	}
	choiceVar(cmd.Flags(), &output, "output", "o", []string{"text", "json"}, "format")
	// It reads no settings: it must answer also where they are wrong.
	cmd.RunE = func(*cobra.Command, []string) error {
		a.started = true
		if output == "json" {
			return json.NewEncoder(a.out).Encode(thisBuild())
		}
		_, err := fmt.Fprintln(a.out, thisBuild())
		return err
	}
	return cmd
}

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const referencePath = "../../docs/commands.md"

// TestReference keeps docs/commands.md the same as the commands.
func TestReference(t *testing.T) {
	want := reference()
	if *update {
		if err := os.WriteFile(referencePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the commands: go test ./cmd/weir -run TestReference -update", referencePath)
	}
}

// TestHelp holds every command to what a user may expect of it.
func TestHelp(t *testing.T) {
	for _, c := range visible() {
		if c.Short == "" || c.Example == "" || c.GroupID == "" && c.Parent() == c.Root() {
			t.Errorf("%s: short text %q, example %q, group %q: none may be empty", c.Name(), c.Short, c.Example, c.GroupID)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s has no text", c.Name(), f.Name)
			}
		})
	}
}

func visible() []*cobra.Command { return commands(new(app).root()) }

func reference() string {
	var b strings.Builder
	b.WriteString(`# Commands

<!-- Made from the commands: go test ./cmd/weir -run TestReference -update -->

Every setting has three names: ` + "`--metrics-listen`" + `, ` + "`WEIR_METRICS_LISTEN`" + ` in the environment, ` + "`metrics-listen:`" + ` in the configuration file
(` + "`--config`" + `, by default ` + "`/etc/weir/weir.yaml`" + `). Flags come before the environment, the environment before the file. The file is strict: an
unknown or repeated setting is an error with its line and column. ` + "`weir config`" + ` prints what holds and where it comes from.

Exit status: 0 done, 1 failed, 2 wrong usage (also a wrong setting), 3 the check found something (` + "`weir doctor`" + `).

`)
	root := new(app).root()
	b.WriteString("Flags of every command:\n\n")
	flagTable(&b, root.PersistentFlags())
	for _, c := range visible() {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		long := c.Long
		if long == "" {
			long = c.Short + "."
		}
		fmt.Fprintf(&b, "%s\n\n```sh\n%s\n```\n", strings.ReplaceAll(long, "\n    ", "\n"), unindent(c.Example))
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			b.WriteString("\n")
			flagTable(&b, c.LocalNonPersistentFlags())
		}
	}
	return b.String()
}

func flagTable(b *strings.Builder, fs *pflag.FlagSet) {
	b.WriteString("| flag | | default |\n| --- | --- | --- |\n")
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		arg, usage := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if f.Shorthand != "" {
			flag = "-" + f.Shorthand + ", " + flag
		}
		if arg != "" && f.NoOptDefVal == "" {
			flag += " " + arg
		}
		def := f.DefValue
		switch def {
		case "", "[]", "false", "0", "0s":
			def = ""
		default:
			def = "`" + def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.ReplaceAll(flag, "|", "\\|"), strings.ReplaceAll(usage, "|", "\\|"), def)
	})
}

func unindent(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(s, "\n  ", "\n"), "  ")
}

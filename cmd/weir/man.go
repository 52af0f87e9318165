package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand is for packagers, and so not in the help.
func (a *app) manCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "man DIRECTORY",
		Hidden:  true,
		Short:   "Write the man pages into a directory",
		Example: "  weir man ./man/man1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("expected one directory, got %d arguments", len(args))
			}
			return nil
		},
	}
	cmd.RunE = a.with(func(_ context.Context, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return fmt.Errorf("man pages: %w", err)
		}
		for _, c := range append(commands(cmd.Root()), cmd.Root()) {
			name := strings.ReplaceAll(c.CommandPath(), " ", "-")
			if err := os.WriteFile(filepath.Join(args[0], name+".1"), []byte(manPage(c)), 0o644); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
		}
		return nil
	})
	return cmd
}

// manPage is one command's page in man(7)'s macros. cobra's own generator would
// bring a Markdown parser along.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"weir %s\" \"weir\"\n", strings.ToUpper(name), thisBuild().Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", strings.ReplaceAll(roff(long), "\n\n", "\n.PP\n"))
	manFlags(&b, "OPTIONS", c.NonInheritedFlags())
	manFlags(&b, "COMMON OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	b.WriteString(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 the check found something.\n")
	b.WriteString(".SH SEE ALSO\n")
	var others []string
	for _, o := range commands(c.Root()) {
		if o != c {
			others = append(others, ".BR "+roff(strings.ReplaceAll(o.CommandPath(), " ", "-"))+" (1)")
		}
	}
	b.WriteString(strings.Join(others, ",\n") + "\n")
	return b.String()
}

func manFlags(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if !fs.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		arg, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR", roff(name))
		if arg != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(arg))
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, "\n%s\n", roff(usage))
	})
}

// roff keeps text from being read as markup.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

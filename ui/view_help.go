package ui

import (
	"fmt"
	"strings"
)

// newHelpPage is the help, made of the tables of keys, filters and commands.
func newHelpPage() *page {
	return &page{title: "Help", tabs: []*tab{{name: "Help", lines: helpLines}}}
}

// helpEntry is a line of the help: what to type, and what it does.
type helpEntry struct{ keys, help text }

type helpSection struct {
	title   text
	entries []helpEntry
}

func helpSections() []helpSection {
	var out []helpSection
	for _, b := range bindings {
		if len(out) == 0 || out[len(out)-1].title != b.group {
			out = append(out, helpSection{title: b.group})
		}
		at := &out[len(out)-1]
		at.entries = append(at.entries, helpEntry{keyList(b.keys), b.help})
	}
	prompt := helpSection{title: "While typing a filter or a command"}
	for _, k := range promptKeys {
		prompt.entries = append(prompt.entries, helpEntry{keyList(k.keys), k.help})
	}
	filters := helpSection{title: "Filters: all words must hold", entries: []helpEntry{
		{"word", "part of a name, address:port, image, command, protocol or end"},
		{"/regex/", "the same, as a regular expression"},
		{"!word", "what does not hold: before any word, /regex/ or prefix"},
	}}
	for _, f := range filterFields {
		filters.entries = append(filters.entries, helpEntry{text(f.name) + ":", text(f.what)})
	}
	cmds := helpSection{title: "Commands"}
	for _, c := range commands() {
		names := text(":" + strings.Join(c.names, " :"))
		cmds.entries = append(cmds.entries, helpEntry{join(" ", names, c.args), c.help})
	}
	return append(out, prompt, filters, cmds)
}

func helpLines(width int) []line {
	var out []line
	for _, s := range helpSections() {
		if len(out) > 0 {
			out = append(out, nil)
		}
		out = append(out, line{{s.title, strong}})
		for _, e := range s.entries {
			out = append(out, line{{"  ", plain}, {e.keys.pad(16, false), accent}, {" " + e.help, plain}}.fit(width))
		}
	}
	return out
}

// keysMarkdown is docs/keys.md: the help as a document.
func keysMarkdown() string {
	var b strings.Builder
	b.WriteString("# Keys of `weir top`\n\nMade from the key table in `ui/keys.go` by `go test ./ui -run Keys -update`. Do not edit.\n")
	for _, s := range helpSections() {
		fmt.Fprintf(&b, "\n## %s\n\n| type | what it does |\n| --- | --- |\n", s.title)
		for _, e := range s.entries {
			fmt.Fprintf(&b, "| `%s` | %s |\n", e.keys, strings.ReplaceAll(string(e.help), "|", `\|`))
		}
	}
	return b.String()
}

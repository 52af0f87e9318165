package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// marks show a state without colour, which is only added to them.
var marks = map[state]struct{ text, color string }{
	stateOK:    {"ok", "32"},
	stateNote:  {"--", ""},
	stateWarn:  {"warn", "33"},
	stateFault: {"FAULT", "31;1"},
}

func (a *app) printDiagnosis(d *diagnosis) error {
	w := bufio.NewWriter(a.out)
	section := ""
	for _, c := range d.Checks {
		if c.Section != section {
			if section != "" {
				fmt.Fprintln(w)
			}
			section = c.Section
			fmt.Fprintln(w, section)
		}
		fmt.Fprintf(w, "  %s %-18s %s\n", a.mark(c.State), printer.Sanitize(c.Name), printer.Sanitize(c.Detail))
		if c.Without != "" {
			fmt.Fprintf(w, "        without it: %s\n", printer.Sanitize(c.Without))
		}
		if c.Remedy != "" {
			fmt.Fprintf(w, "        what to do: %s\n", printer.Sanitize(c.Remedy))
		}
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, summary(d))
	return w.Flush()
}

func (a *app) mark(s state) string {
	m := marks[s]
	text := m.text + strings.Repeat(" ", max(0, 5-len(m.text)))
	if m.color == "" || !a.color() {
		return text
	}
	return "\x1b[" + m.color + "m" + text + "\x1b[0m"
}

func summary(d *diagnosis) string {
	count := map[state]int{}
	for _, c := range d.Checks {
		count[c.State]++
	}
	switch {
	case !d.OK:
		return fmt.Sprintf("weir cannot do its work here: %s, %s.", times(count[stateFault], "fault"), times(count[stateWarn], "warning"))
	case count[stateWarn] > 0:
		return fmt.Sprintf("weir works here, with %s.", times(count[stateWarn], "warning"))
	}
	return "weir works here; nothing is missing."
}

func times(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

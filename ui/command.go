package ui

import (
	"fmt"
	"strings"

	"github.com/seed79351815/weir/collector/spelling"
)

// command is one word that may follow ":".
type command struct {
	names []string
	args  text
	help  text
	run   func(m *model, args string) error
}

// commands are what ":" takes; the help lists them.
func commands() []command {
	view := func(root int) func(*model, string) error {
		return func(m *model, _ string) error { m.goTo(root); return nil }
	}
	return []command{
		{[]string{"workloads"}, "", "the workloads", view(rootWorkloads)},
		{[]string{"flows"}, "", "the flows", view(rootFlows)},
		{[]string{"operations"}, "", "the operations", view(rootOperations)},
		{[]string{"health"}, "", "losses, rings and tables", view(rootHealth)},
		{[]string{"policy", "policies"}, "", "the policies, and what they refused or would have", view(rootPolicies)},
		{[]string{"sort"}, "COLUMN", "sort by a column, -COLUMN in reverse", (*model).sortCommand},
		{[]string{"filter"}, "FILTER", "the same as /FILTER; without one: clear it", (*model).filterCommand},
		{[]string{"window"}, "TIME", "show the last 15m, 24h, 7d, … of workloads and operations, or live", (*model).windowCommand},
		{[]string{"help"}, "", "all keys", func(m *model, _ string) error { m.do(actHelp); return nil }},
		{[]string{"q", "quit"}, "", "quit", nil}, // takeCommand does it
	}
}

func isQuit(s string) bool {
	s = strings.TrimSpace(s)
	return s == "q" || s == "q!" || s == "quit"
}

// command runs what was typed after ":".
func (m *model) command(s string) error {
	name, args, _ := strings.Cut(strings.TrimSpace(s), " ")
	if name == "" {
		return nil
	}
	var names []string
	for _, c := range commands() {
		for _, n := range c.names {
			if n == name && c.run != nil {
				return c.run(m, strings.TrimSpace(args))
			}
			names = append(names, n)
		}
	}
	if near := spelling.Nearest(name, names); near != "" {
		return fmt.Errorf("%s: no such command; did you mean %s?", name, near)
	}
	return fmt.Errorf("%s: no such command; there are %s", name, strings.Join(names, ", "))
}

func (m *model) sortCommand(args string) error { return m.sortBy(args) }

func (m *model) sortBy(id string) error {
	g := m.tab().grid
	if g == nil {
		return fmt.Errorf("sort: this page has no rows")
	}
	return g.SortBy(strings.ToLower(id))
}

func (m *model) filterCommand(args string) error {
	if m.tab().grid == nil {
		return fmt.Errorf("filter: this page has no rows")
	}
	f, err := parseFilter(args)
	if err != nil {
		return err
	}
	m.filters = remember(m.filters, args)
	m.setFilter(f)
	return nil
}

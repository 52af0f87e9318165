package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/ui"
)

// plainPolicies writes which policies hold, and what is wrong with them; nothing
// where there is neither.
func plainPolicies(b *bytes.Buffer, p *ui.Policies, now time.Time) {
	if p.Failure != "" {
		fmt.Fprintf(b, "\nthe policies do not hold as they should: %s\n", printer.Sanitize(p.Failure))
	}
	if p.Foreign {
		note := cmp.Or(p.Note, "policies are at work that nobody here keeps; `weir policy off` takes them out")
		fmt.Fprintf(b, "\n%s\n", printer.Sanitize(note))
	}
	if len(p.List) == 0 {
		return
	}
	if p.Note != "" {
		fmt.Fprintf(b, "\n%s\n", printer.Sanitize(p.Note))
	}
	rows := slices.Clone(p.List)
	slices.SortFunc(rows, func(x, y ui.Policy) int {
		return cmp.Or(cmp.Compare(y.Denied, x.Denied), cmp.Compare(y.Audited, x.Audited), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Kind, y.Kind))
	})
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tKIND\tMODE\tLEFT\tSELECTED\tDENIED\tAUDITED")
	for _, r := range rows[:min(len(rows), plainRows)] {
		left := "-"
		if !r.Until.IsZero() {
			left = span(r.Until.Sub(now))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", word(r.Name), word(r.Kind), word(r.Mode), left, len(r.Selected), r.Denied, r.Audited)
	}
	_ = w.Flush() // into memory
	if n := len(rows) - plainRows; n > 0 {
		fmt.Fprintf(b, "and %d policies more\n", n)
	}
}

// plainVerdicts writes what policies refused most, and would have; nothing where
// that is nothing.
func plainVerdicts(b *bytes.Buffer, s *aggregate.Snapshot) {
	if len(s.Verdicts) == 0 {
		return
	}
	rows := slices.Clone(s.Verdicts)
	slices.SortFunc(rows, func(x, y aggregate.VerdictRow) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(y.Last, x.Last), cmp.Compare(name(x.Workload), name(y.Workload)),
			cmp.Compare(end(x.Peer, x.Remote), end(y.Peer, y.Remote)), cmp.Compare(x.Port, y.Port), cmp.Compare(x.Rule, y.Rule))
	})
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERDICT\tWORKLOAD\tDIRECTION\tPEER\tPORT\tCOUNT\tRATE\tLAST\tPROCESS\tPOLICY\tRULE")
	for i := range rows[:min(len(rows), plainRows)] {
		r := &rows[i]
		verdict, direction, rule := "audited", "egress", cmp.Or(r.Rule, "no rule allows it")
		if r.Denied {
			verdict = "denied"
		}
		if r.Ingress {
			direction = "ingress"
		}
		last := span(time.Duration(max(0, s.Time-r.Last)))
		if r.Other {
			fmt.Fprintf(w, "%s\tall others\t-\t-\t-\t%d\t%.1f\t%s\t-\t-\t-\n", verdict, r.Count, r.Rate, last)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%.1f\t%s\t%s\t%s\t%s\n", verdict, word(name(r.Workload)), direction, word(end(r.Peer, r.Remote)),
			judgedPort(r), r.Count, r.Rate, last, judgedProcess(r), word(judgedBy(r)), word(rule))
	}
	_ = w.Flush() // into memory
	if n := len(rows) - plainRows; n > 0 {
		fmt.Fprintf(b, "and %d kinds of verdicts more\n", n)
	}
}

// judgedPort is the server's port, or the type of an ICMP message.
func judgedPort(r *aggregate.VerdictRow) string {
	switch {
	case r.Protocol.HasPorts():
		return fmt.Sprintf("%s/%d", r.Protocol, r.Port)
	case r.Protocol == flow.ICMP || r.Protocol == flow.ICMPv6:
		return fmt.Sprintf("%s type %d", r.Protocol, r.Port)
	}
	return r.Protocol.String()
}

func judgedProcess(r *aggregate.VerdictRow) string {
	s := word(r.Comm.String())
	if r.PID != 0 {
		s += " " + strconv.FormatUint(uint64(r.PID), 10)
	}
	return s
}

func judgedBy(r *aggregate.VerdictRow) string {
	var names []string
	for _, p := range r.By {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

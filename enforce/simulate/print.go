package simulate

import (
	"fmt"
	"io"

	"github.com/seed79351815/weir/enforce/internal/words"
	"github.com/seed79351815/weir/enforce/policy"
)

// Write writes the report for people: what would have been denied first, then what
// each rule decided. Nothing from outside reaches a terminal as it came.
func (r *Report) Write(out io.Writer) error {
	p := &printer{out: out}
	p.line("%s judged: %d allowed, %d would have been denied, %s that never came about would have been too",
		words.Plural(r.Flows, "flow"), r.Allowed, r.Denied, words.Plural(r.Attempts, "attempt"))
	if r.Questions > 0 {
		p.line("%s of DNS judged: %d that were answered would have been denied", words.Plural(r.Questions, "question"), r.Refused)
	}
	if r.Missed > 0 {
		p.line("not judged: %s beyond what is kept", words.Plural(r.Missed, "record"))
	}
	for i := range r.Denials {
		p.denial(&r.Denials[i])
	}
	for i, c := range r.Rules {
		if i == 0 {
			p.line("")
			p.line("rules:")
		}
		p.line("  %s: %s", rule(&c.Rule), words.Plural(c.Flows, "flow"))
	}
	return p.err
}

// printer keeps the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *printer) denial(d *Denial) {
	what, arrow := "denied", "to"
	if !d.Passed {
		what = "attempt denied"
	}
	if d.Direction == policy.Ingress {
		arrow = "from"
	}
	why := "no rule allows it"
	if d.ID != 0 {
		why = rule(&d.Rule)
	}
	e := &d.Example
	p.line("")
	much := words.Plural(d.Flows, "flow") + ", " + words.Size(d.Bytes)
	if d.Asked != "" {
		much = words.Plural(d.Flows, "question") + " for " + words.Plain(d.Asked)
	}
	p.line("%s: %s %s %s over %s: %s, %s", what, words.Plain(d.Workload), arrow, words.Plain(d.Peer.String()), d.Service,
		much, words.Span(d.First, d.Last))
	p.line("  by %s: %s", d.Direction, why)
	if d.Asked != "" {
		return
	}
	p.line("  first: %s (%s) to %s", e.Client.Addr, words.Plain(e.Client.Comm.String()), e.Server.Addr)
}

// rule is where a rule stands, and what it says.
func rule(r *policy.Rule) string {
	at := r.Pos.String()
	if at == "" {
		at = r.Policy
	}
	return words.Plain(fmt.Sprintf("%s: %s[%d]: %s", at, r.Section, r.Index, r.Description))
}

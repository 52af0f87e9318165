package suggest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/words"
)

// evidenceOf is what a rule rests on: a line for each service, then what was asked
// for over them.
func evidenceOf(d side, p baseline.Peer, c *baseline.Contact, allowed []baseline.Service) (lines []string) {
	for _, s := range allowed {
		t := c.Services[s]
		l := fmt.Sprintf("%s %s: %s, %s sent, %s received", words.Plain(p.String()), s, words.Plural(t.Flows(), "flow"), words.Size(t.Sent), words.Size(t.Received))
		if t.Failed > 0 {
			l += fmt.Sprintf(", %d failed", t.Failed)
		}
		lines = append(lines, l+", "+words.Span(t.First, t.Last))
	}
	return append(lines, operationsOf(d, c)...)
}

const maxShownOperations = 12 // lines of one peer

// operationsOf tells of layer 7, of which rules enforce nothing yet but whom a
// workload asks for: the methods of each path together.
func operationsOf(d side, c *baseline.Contact) (lines []string) {
	type route struct {
		baseline.Operation
		methods       []string
		count, errors uint64
	}
	var routes []route
	for _, o := range slices.SortedFunc(maps.Keys(c.Operations), baseline.Operation.Compare) {
		n := c.Operations[o]
		same := len(routes) - 1
		if last := same; last < 0 || routes[last].Port != o.Port || routes[last].Protocol != o.Protocol || routes[last].Route != o.Route {
			routes = append(routes, route{Operation: o})
			same++
		}
		r := &routes[same]
		if o.Method != "" {
			r.methods = append(r.methods, words.Plain(o.Method))
		}
		r.count, r.errors = r.count+n.Count, r.errors+n.Errors
	}
	for i, r := range routes {
		if i == maxShownOperations {
			return append(lines, fmt.Sprintf("  layer 7: %d more", len(routes)-i))
		}
		l := "  layer 7, not enforced"
		if d.egress && isQuestion(r.Operation) {
			l = "  layer 7"
		}
		l += fmt.Sprintf(": %s on port %d", l7Name(r.Protocol), r.Port)
		for _, word := range []string{strings.Join(r.methods, ","), words.Plain(r.Route)} {
			if word != "" {
				l += " " + word
			}
		}
		switch r.count {
		case 0:
			l += ": seen, not counted"
		case 1:
			l += ": once"
		default:
			l += fmt.Sprintf(": %d times", r.count)
		}
		if r.errors > 0 {
			l += fmt.Sprintf(", %d failed", r.errors)
		}
		lines = append(lines, l)
	}
	return lines
}

func l7Name(p flow.L7Protocol) string {
	if s := p.String(); s != "" {
		return s
	}
	return "another protocol"
}

// doubtsOf is what a rule rests on too little for.
func doubtsOf(c *baseline.Contact, allowed []baseline.Service) (out []string) {
	for _, s := range allowed {
		t := c.Services[s]
		doubt := func(format string, args ...any) { out = append(out, s.String()+": "+fmt.Sprintf(format, args...)) }
		switch {
		case t.Started > 0 && t.Preexisting >= t.Started:
			doubt("only seen in flows that are older than weir")
		case t.Started == 0:
			doubt("no flow's beginning was seen")
		case t.Flows() == 1 && asked(c, s) <= 1:
			doubt("seen once")
		case t.Ended > 0 && t.Failed >= t.Flows():
			doubt("every flow failed")
		}
		if s.Any {
			doubt("every port is allowed: there were more than are kept, or they change")
		}
		if t.Audited > 0 {
			doubt("a policy in force would have denied it (%s)", words.Plural(t.Audited, "record"))
		}
	}
	return out
}

// asked is how many exchanges a service had.
func asked(c *baseline.Contact, s baseline.Service) (n uint64) {
	for o, count := range c.Operations {
		if o.Port == s.Port {
			n += count.Count
		}
	}
	return n
}

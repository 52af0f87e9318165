package ui

import (
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// Policies is what is known of the policies of one moment. The words in it may come
// from anywhere: they are made harmless where they are shown.
type Policies struct {
	List      []Policy
	Note      string   // why List is not told, or is old; empty when it is the present
	Failure   string   // why the policies do not hold as they should
	Foreign   bool     // programs are at work that belong to none of List
	Uncovered []string // where they do not judge, and why
	Lost      uint64   // verdicts that were not counted
}

// Policy is one of them.
type Policy struct {
	Name     string // "namespace/name", or the name alone
	Kind     string // Guard, CiliumNetworkPolicy, …
	Mode     string // audit or enforce
	File     string
	Since    time.Time // in this mode
	Until    time.Time // then it goes back to audit by itself; zero: it does not
	Selected []string  // workloads
	Denied   uint64    // attempts since then
	Audited  uint64    // attempts that passed, and would not
	Said     []string  // the most frequent of both, in words
}

const modeEnforce = "enforce"

// count tells how many are in each mode.
func (p *Policies) count() (enforcing, auditing int) {
	for i := range p.List {
		if p.List[i].Mode == modeEnforce {
			enforcing++
		} else {
			auditing++
		}
	}
	return enforcing, auditing
}

// mode says in few words what weir does to connections; empty where that is
// nothing, or not known.
func (p *Policies) mode() text {
	enforcing, auditing := p.count()
	var e, a text
	if enforcing > 0 {
		e = "enforcing " + count(uint64(enforcing))
	}
	if auditing > 0 {
		a = "auditing " + count(uint64(auditing))
	}
	if p.Foreign && e+a == "" {
		return "unknown policies"
	}
	return join(", ", e, a)
}

// policyRow is a policy with what its verdicts tell.
type policyRow struct {
	Policy
	told                    bool // who keeps it told of it; else verdicts alone name it
	gone                    bool // it would have been told of
	deniedRate, auditedRate float64
	last                    int64 // when it last spoke; 0 for never, since weir looks
}

func (r *policyRow) key() string { return policyID(r.Kind, r.Name) }

func policyID(kind, name string) string { return kind + "\x00" + name }

// policyRows are the policies that are told of, and those that only verdicts name:
// those of a recording, and those that are gone.
func policyRows(now *Policies, verdicts []aggregate.VerdictRow) []policyRow {
	rows := make([]policyRow, 0, len(now.List))
	at := make(map[string]int, len(now.List))
	for i := range now.List {
		rows = append(rows, policyRow{Policy: now.List[i], told: true})
		at[rows[i].key()] = i
	}
	for i := range verdicts {
		v := &verdicts[i]
		for _, p := range v.By {
			id := policyID(p.Kind, p.String())
			n, known := at[id]
			if !known {
				n = len(rows)
				at[id] = n
				rows = append(rows, policyRow{Policy: Policy{Name: p.String(), Kind: p.Kind}, gone: now.Note == "" && !now.Foreign})
			}
			rows[n].add(v, p)
		}
	}
	return rows
}

func (r *policyRow) add(v *aggregate.VerdictRow, p flow.PolicyRef) {
	if v.Denied {
		r.deniedRate += v.Rate
	} else {
		r.auditedRate += v.Rate
	}
	if !r.told {
		if v.Denied {
			r.Denied += v.Count
		} else {
			r.Audited += v.Count
		}
		if v.Last >= r.last {
			r.Mode = p.Mode
		}
	}
	r.last = max(r.last, v.Last)
}

// spokeBy tells whether a verdict is a policy's.
func spokeBy(v *aggregate.VerdictRow, id string) bool {
	for _, p := range v.By {
		if policyID(p.Kind, p.String()) == id {
			return true
		}
	}
	return false
}

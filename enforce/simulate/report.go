package simulate

import (
	"cmp"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
)

// Report is what policies would have done. Policies in mode audit are judged as if
// they were in force: what matters is what they would deny.
type Report struct {
	Flows     uint64   // that were judged
	Allowed   uint64   // of them
	Denied    uint64   // of them, those over which something passed
	Attempts  uint64   // of them, those that would be denied and never came about anyway
	Questions uint64   // of DNS that were judged
	Refused   uint64   // of them, those that were answered, and would have been denied on flows that are not
	Denials   []Denial // what worked first, then most flows
	Rules     []Count  // of every rule, in the policies' order: the flows that it decided about
	Missed    uint64   // records beyond the bounds of a Gatherer, not judged
}

// Found tells whether something that worked would have been denied: exit status 3.
func (r *Report) Found() bool { return r.Denied+r.Refused > 0 }

// Denial is traffic of one workload that would have been denied at its end.
type Denial struct {
	Workload  string // "namespace/name"; hostile, as is all that came from outside
	Direction policy.Direction
	Peer      baseline.Peer
	Service   baseline.Service
	Asked     string        `json:",omitempty"` // the name that DNS was asked for, where it is questions that are denied
	Result    policy.Result // Denied: by a policy in mode enforce; Audited: by one in mode audit
	ID        policy.RuleID // 0 where no rule allows it
	Rule      policy.Rule   // of ID
	Passed    bool          // it came about when it was seen; else it was an attempt
	Flows     uint64        // or questions
	Bytes     uint64        // payload, both ways
	baseline.Seen
	Example flow.Flow // the first; none of questions, which are counted and not told
}

// Count is how many flows a rule decided about, at one of their ends.
type Count struct {
	ID    policy.RuleID
	Rule  policy.Rule
	Flows uint64
}

// denialKey puts the same of several replicas together.
type denialKey struct {
	workload  string
	direction policy.Direction
	peer      baseline.Peer
	service   baseline.Service
	asked     string
	result    policy.Result
	rule      policy.RuleID
	passed    bool
}

func (d *Denial) key() denialKey {
	return denialKey{d.Workload, d.Direction, d.Peer, d.Service, d.Asked, d.Result, d.ID, d.Passed}
}

// merge adds what happened to another replica.
func (d *Denial) merge(o *Denial) {
	d.Flows, d.Bytes = d.Flows+o.Flows, d.Bytes+o.Bytes
	if o.First < d.First {
		d.First, d.Example = o.First, o.Example
	}
	d.Last = max(d.Last, o.Last)
}

// compare puts what worked first, then the frequent.
func (d *Denial) compare(o *Denial) int {
	return cmp.Or(
		rank(o.Passed)-rank(d.Passed), cmp.Compare(o.Flows, d.Flows), cmp.Compare(d.Workload, o.Workload),
		int(d.Direction)-int(o.Direction), d.Peer.Compare(o.Peer), d.Service.Compare(o.Service), cmp.Compare(d.Asked, o.Asked), cmp.Compare(d.ID, o.ID),
		int(d.Result)-int(o.Result),
	)
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sortDenials(m map[denialKey]*Denial) []Denial {
	out := make([]Denial, 0, len(m))
	for _, d := range m {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Denial) int { return a.compare(&b) })
	return out
}

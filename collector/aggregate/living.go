package aggregate

import "github.com/seed79351815/weir/collector/flow"

// Living gives yield the state of every flow that has begun and lives, as an
// update without a delta, until yield returns false. The record is the table's
// again when yield returns. It is for the table's owner, and changes nothing.
func (t *Table) Living(yield func(*flow.Record) bool) {
	var r flow.Record
	for i := t.slab.oldest; i != 0; i = t.slab.at(i).newer {
		e := t.slab.at(i)
		if !e.started || e.self || e.done() {
			continue
		}
		r = flow.Record{Kind: flow.RecordUpdate, Time: e.last, Verdict: flow.VerdictForwarded}
		t.describe(e, &r.Flow)
		r.Flow.Ended, r.Flow.End = 0, flow.EndNone
		if !yield(&r) {
			return
		}
	}
}

package aggregate

import "github.com/seed79351815/weir/collector/flow"

// Snapshot is the state of everything at one moment, for whoever shows it. It
// is immutable: any number of goroutines may read it, for as long as they like.
type Snapshot struct {
	Time      int64         // ns since the Unix epoch
	Seq       uint64        // grows when the content changed
	Flows     []FlowRow     // live ones and those that ended lately; in no order
	Workloads []WorkloadRow // in no order
	Totals    Totals

	Operations []OperationRow // what workloads ask each other, in no order
	Verdicts   []VerdictRow   // what policies refused, or would have, in no order
}

// Rates are per second, over the time since the reading before.
type Rates struct {
	Packets float64
	Payload float64 // bytes
	Wire    float64 // bytes
}

// FlowRow is one flow with its present rates.
type FlowRow struct {
	flow.Flow
	SentRate     Rates
	ReceivedRate Rates
}

// WorkloadRow sums the flows of one workload, seen from it: Sent is what it sent
// as client and as server. A flow between two workloads counts in both rows.
type WorkloadRow struct {
	Workload     *flow.Workload // nil: all ends that no workload stands behind ("world")
	Live         int            // flows that live
	Opened       uint64         // flows since weir looks
	Failed       uint64         // of them refused, timed out, reset, unreachable
	Drops        uint64         // packets
	Retransmits  uint64
	Peers        int   // different workloads or remote addresses it talks to now
	RTT          int64 // mean of the living flows' smoothed RTT, ns; 0 when unknown
	Sent         flow.Counters
	Received     flow.Counters
	SentRate     Rates
	ReceivedRate Rates
	OpenRate     float64 // flows opened per second

	Served [flow.L7Protocols]L7Row // what it was asked, by protocol
	Asked  [flow.L7Protocols]L7Row // what it asked others
}

// L7Row sums exchanges. Rates and quantiles are of the last seconds.
type L7Row struct {
	Requests  uint64 // since weir looks
	Errors    uint64 // of them
	Rate      float64
	ErrorRate float64
	P50       int64 // ns; 0 when there were none lately
	P99       int64
}

// OperationRow is one operation between two workloads.
type OperationRow struct {
	Client   *flow.Workload // nil: the world
	Server   *flow.Workload // nil: the world
	Remote   string         // for an end that no workload stands behind: its name or address
	Protocol flow.L7Protocol
	Method   string
	Route    string
	Rule     string // as in flow.L7
	L7Row
	Shown         uint64 // exchanges that were told in full; the others were only counted
	RequestBytes  uint64
	ResponseBytes uint64
	Statuses      []StatusCount // most frequent first, a few
	Examples      []*flow.L7    // slow and failed exchanges, newest first, a few
}

// StatusCount is how often an operation had an outcome; see flow.Tally.
type StatusCount struct {
	Status uint16
	Count  uint64
}

// Totals sum over all flows, each flow once.
type Totals struct {
	Live         int
	Opened       uint64
	Failed       uint64
	Drops        uint64
	Retransmits  uint64
	SentRate     Rates
	ReceivedRate Rates
	OpenRate     float64
	L7           [flow.L7Protocols]L7Row
	Denied       uint64 // attempts that policies refused
	Audited      uint64 // attempts that passed, and would not if all policies were enforced
	DeniedRate   float64
	AuditedRate  float64
	Unshown      uint64 // records of flows for which a View had no room; only these totals count them
}

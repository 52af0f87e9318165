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
	Unshown      uint64 // records of flows for which a View had no room; only these totals count them
}

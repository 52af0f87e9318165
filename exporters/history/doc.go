// Package history keeps flows and RED numbers on disk, so that they can be asked
// for after a restart and for longer than memory holds them.
//
//	collector → Store (a Sink) → blocks of flows  → hubble.Observer's GetFlows
//	                           → minutes of RED   → Reader.RED
//
// Flows are kept as packed records, thousands to a compressed block, with an index
// from what filters ask for to the blocks that have it; messages of the Observer API
// are made of them when somebody asks. Exchanges that were counted are kept as one row
// a minute, workload pair and operation.
//
// The store is one SQLite file in write-ahead mode: whatever kills the process, what
// was committed can be read. It is bounded by age and by size. What it cannot keep
// is counted under the stage "history", and never holds up capture.
package history

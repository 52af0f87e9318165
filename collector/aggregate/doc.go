// Package aggregate makes flows of what sockets report.
//
// A Table takes events and gives records: it joins the two ends of a local flow,
// names them, holds a flow's start back until both are known, sums counters into
// deltas, and lets go of what has ended. A View takes records and gives Snapshots
// with rates for whoever shows them.
//
// Exchanges and their tallies go through an l7.Book, which knows their operations'
// words, and become records of their own: they change no flow.
//
// A Table is owned by one goroutine and has no locks. Its time is that of its
// events, moved on by Tick while none come, so that a recording gives the same
// records at any speed.
//
// Identity is how a Table asks who is behind a cgroup or an address.
package aggregate

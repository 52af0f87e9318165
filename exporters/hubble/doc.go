// Package hubble serves flows by Hubble's Observer API, and reads them back.
//
//	collector → Observer (a Sink) → ring of the newest records → GetFlows
//	                              → one bounded queue per follower → GetFlows
//
// Records are kept packed and become protobuf messages only when somebody reads
// them. A reader never holds up the collector: what a follower has no time for
// is dropped, newest first, counted, and told to it.
//
// Client is the other end: weir's own commands attach to a daemon through it.
// The sub-packages convert, filter, pack and printer do one thing each.
package hubble

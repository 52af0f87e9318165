// Package pack keeps many flow records in little memory.
//
// A flow.Record is half a kilobyte and full of pointers. Packed it is about a
// hundred bytes without one, so that tens of thousands of records can stay
// without weight for the garbage collector.
//
// A Batch can be written down with the workloads, names and texts that it refers
// to, and be parsed again: by another process, and by a later weir. What stands in
// a record is therefore a format. Changes to it take a new version.
package pack

// Package pack keeps many flow records in little memory.
//
// A flow.Record is half a kilobyte and full of pointers. Packed it is about a
// hundred bytes without one, so that tens of thousands of records can stay
// without weight for the garbage collector. The encoding lives in memory only:
// it is never written or sent, and may change with every build.
package pack

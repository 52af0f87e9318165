// Package enforce manages policies: it keeps them with their modes and history on
// disk, compiles them for the workloads of the moment, has the kernel hold them,
// and tells what came of it.
//
// It decides nothing itself: package policy compiles, and the kernel's programs
// look up what was compiled. They go on without this process; a Manager that
// starts takes over what an earlier one left.
//
// How it is used: docs/enforce.md.
package enforce

// Package native holds the parsers of bpf/c/parse as the processor runs them, for
// tests and fuzzing alone: the same source that the kernel runs, byte for byte.
//
// What runs C needs cgo and is left out without it; the types, the captured
// streams and what the parsers have to tell of them are there always, so that a
// static test binary can hold the kernel's answers against them.
package native

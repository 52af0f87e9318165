// Package flow holds weir's domain types: what a Source observed (Event), who
// is behind a socket (Workload), and what the collector made of it (Flow,
// Record).
//
// It is a leaf: it imports the standard library alone, and every other package
// may import it. Values are plain data. Unless a comment says otherwise a value
// that was handed over is never changed again, so it may be read from many
// goroutines.
package flow

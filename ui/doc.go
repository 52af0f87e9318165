// Package ui is the screen of `weir top`: workloads, flows and the pipeline's
// health, drawn from immutable snapshots.
//
// The package has two halves. The Model and what it is made of (columns,
// filter, keys, formats) are plain data and functions that know no terminal;
// app.go and paint*.go put their result on a tcell screen. One goroutine, the
// terminal's event loop, owns the Model.
//
// Nothing that came from outside reaches the screen but through clean.
package ui

package main

import (
	"context"
	"errors"
	"io"
	"syscall"
)

// The exit statuses that scripts depend on.
const (
	statusDone     = 0
	statusFailed   = 1
	statusUsage    = 2
	statusFindings = 3
)

// usageError is a command line, a setting or a file that cannot be meant.
type usageError struct {
	err  error
	help string // the command whose --help tells more; empty for none
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errFindings is a check that worked and found something. It has been shown.
var errFindings = errors.New("the check found something")

// errPipeClosed is standard output whose reader went away.
var errPipeClosed = errors.New("standard output was closed")

func exitStatus(err error) int {
	var u *usageError
	switch {
	case err == nil, errors.Is(err, errPipeClosed), errors.Is(err, context.Canceled):
		return statusDone
	case errors.Is(err, errFindings):
		return statusFindings
	case errors.As(err, &u):
		return statusUsage
	}
	return statusFailed
}

// quiet tells whether err needs no words.
func quiet(err error) bool { return exitStatus(err) == statusDone || errors.Is(err, errFindings) }

// quietPipe marks the error of a write to a pipe that nobody reads, so that it
// is not mistaken for another broken pipe.
type quietPipe struct{ w io.Writer }

func (p quietPipe) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errPipeClosed
	}
	return n, err
}

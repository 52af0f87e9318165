package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells the user what is being done, and how long the long steps took.
// It may be used from several goroutines.
type progress struct {
	now func() time.Time

	mu   sync.Mutex
	out  io.Writer
	held *bytes.Buffer // what was said while the screen belonged to somebody else
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, now: time.Now}
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	if p.held != nil {
		out = p.held
	}
	// There is nowhere to report that the terminal is gone.
	_, _ = fmt.Fprintf(out, "weir-demo: "+format+"\n", args...)
}

// step announces what begins. The function that it returns says how long it
// took, if that was worth waiting for.
func (p *progress) step(format string, args ...any) (done func()) {
	what, began := fmt.Sprintf(format, args...), p.now()
	p.say("%s …", what)
	return func() {
		if took := p.now().Sub(began); took >= time.Second {
			p.say("%s: done in %.1f s", what, took.Seconds())
		}
	}
}

// hold keeps what is said from now on until release: a TUI has the screen.
func (p *progress) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = &bytes.Buffer{}
}

func (p *progress) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		_, _ = p.held.WriteTo(p.out)
		p.held = nil
	}
}

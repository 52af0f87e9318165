package ui

import (
	"errors"
	"sync"
	"time"
)

// Guard gives the terminal back when a goroutine panics. A panic ends the
// process wherever it happens, and would leave the shell with a raw terminal on
// the alternate screen. Every goroutine of the process that may panic while the
// interface is on begins with
//
//	defer guard.Recover()
//
// The zero Guard is ready; its methods are safe from any goroutine.
type Guard struct {
	mu       sync.Mutex
	restore  func()
	panicked bool
}

// Recover restores the terminal and panics on, with the trace of the first
// panic. It must be deferred directly. Without a panic it does nothing.
func (g *Guard) Recover() {
	if p := recover(); p != nil {
		g.mu.Lock()
		g.panicked = true
		g.mu.Unlock()
		g.Restore()
		panic(p)
	}
}

// Restore gives the terminal back. It is done once; later calls do nothing.
func (g *Guard) Restore() {
	g.mu.Lock()
	restore := g.restore
	g.restore = nil
	g.mu.Unlock()
	if restore != nil {
		restore()
	}
}

func (g *Guard) arm(restore func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.restore = restore
}

// settle is called when the interface has ended. If that is because a goroutine
// is about to end the process, it stays away for as long as that takes: a main
// that returned at once would exit quietly and hide the panic.
func (g *Guard) settle() error {
	g.mu.Lock()
	panicked := g.panicked
	g.mu.Unlock()
	if !panicked {
		return nil
	}
	time.Sleep(time.Second)
	return errors.New("interface: another goroutine panicked")
}

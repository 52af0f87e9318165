package ui

import "sync"

// Guard gives the terminal back when a goroutine panics. A panic ends the
// process wherever it happens, and would leave the shell with a raw terminal on
// the alternate screen. Every goroutine of the process that may panic while the
// interface is on begins with
//
//	defer guard.Recover()
//
// The zero Guard is ready; its methods are safe from any goroutine.
type Guard struct {
	mu      sync.Mutex
	restore func()
}

// Recover restores the terminal and panics on, with the trace of the first
// panic. It must be deferred directly. Without a panic it does nothing.
func (g *Guard) Recover() {
	if p := recover(); p != nil {
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

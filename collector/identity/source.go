package identity

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	socketPoll = 5 * time.Second // how often a socket that is not there is looked for
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// source is one runtime at one socket, and the sink that it speaks to.
type source struct {
	name   string
	socket string
	rt     runtime
	r      *Resolver
	up     atomic.Bool
}

// Connected notes that the runtime answers.
func (s *source) Connected() {
	s.up.Store(true)
	if s.r.status.set(RuntimeStatus{Name: s.name, Socket: s.socket, Present: true, Connected: true}) {
		s.r.cfg.Logger.Info("container runtime connected", "runtime", s.name, "socket", s.socket)
	}
}

// Learn takes what the runtime says about a container.
func (s *source) Learn(c container) {
	now := time.Now()
	s.r.change(func(t *table) { t.learn(c, now) })
}

// openSources opens all configured sockets and follows each.
func (r *Resolver) openSources(ctx context.Context, wg *sync.WaitGroup) {
	var all []*source
	for _, a := range adapters {
		for _, socket := range *a.sockets(&r.cfg) {
			rt, err := a.open(socket)
			if err != nil {
				r.status.set(RuntimeStatus{Name: a.name, Socket: socket, Error: err.Error()})
				continue
			}
			all = append(all, &source{name: a.name, socket: socket, rt: rt, r: r})
		}
	}
	r.sourceMu.Lock()
	r.sources = all
	r.sourceMu.Unlock()
	for _, s := range all {
		wg.Go(func() {
			s.follow(ctx)
			s.rt.Close()
		})
	}
}

// connected are the sources that answer.
func (r *Resolver) connected() []*source {
	r.sourceMu.Lock()
	defer r.sourceMu.Unlock()
	var out []*source
	for _, s := range r.sources {
		if s.up.Load() {
			out = append(out, s)
		}
	}
	return out
}

// follow keeps watching the runtime until ctx ends, through its restarts.
func (s *source) follow(ctx context.Context) {
	backoff := minBackoff
	for {
		if _, err := os.Stat(s.socket); err != nil {
			s.r.status.set(RuntimeStatus{Name: s.name, Socket: s.socket})
			if !sleep(ctx, socketPoll) {
				return
			}
			backoff = minBackoff
			continue
		}
		err := s.rt.Watch(ctx, s)
		wasUp := s.up.Swap(false)
		if ctx.Err() != nil {
			return
		}
		if wasUp {
			backoff = minBackoff
		}
		st := RuntimeStatus{Name: s.name, Socket: s.socket, Present: true}
		if err != nil {
			st.Error = err.Error()
		}
		if s.r.status.set(st) {
			s.r.cfg.Logger.Warn("container runtime lost", "runtime", s.name, "socket", s.socket, "error", err)
		}
		if !sleep(ctx, backoff) {
			return
		}
		backoff = min(backoff*2, maxBackoff)
	}
}

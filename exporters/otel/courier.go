package otel

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Between attempts. A receiver that was restarted is found within lastWait.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 5 * time.Second
	hurried   = 200 * time.Millisecond // once weir ends

	complainEvery = 10 * time.Second
)

// courier brings one signal's messages to its receiver, and tries again for as long
// as there is hope. One goroutine uses it; its counters are for all.
type courier struct {
	signal    *signal
	transport transport
	timeout   time.Duration
	log       *slog.Logger

	rejected atomic.Uint64 // what the receiver did not want
	stopped  atomic.Uint64 // what there was no time for at the end

	down       bool // the last attempt failed
	complained time.Time
}

func newCourier(s *signal, e *Endpoint, agent string, log *slog.Logger) *courier {
	return &courier{
		signal: s, transport: newTransport(s, e, agent), timeout: e.Timeout, log: log.With("signal", s.name, "endpoint", e.URL),
	}
}

// deliver sends a message of n spans, points or records. It returns when the
// receiver took it or refused it for good, or when sending ends. Once ctx ends it
// hurries. The message stays the caller's.
func (c *courier) deliver(ctx, sending context.Context, message mem.Buffer, n uint64) {
	for attempt := 0; ; attempt++ {
		if sending.Err() != nil {
			c.stopped.Add(n)
			return
		}
		answer := c.signal.answer()
		f := c.try(sending, message, answer)
		switch {
		case f == nil:
			c.delivered(partialOf(answer), n)
			return
		case !f.retry:
			c.rejected.Add(n)
			c.complain("receiver refused what was sent", f, c.signal.unit, n)
			return
		}
		if sending.Err() == nil {
			c.down = true
			c.complain("receiver cannot be reached, trying again", f, "waits", n)
		}
		c.pause(ctx, sending, attempt, f.after)
	}
}

func (c *courier) try(sending context.Context, message mem.Buffer, answer proto.Message) *failure {
	ctx, cancel := context.WithTimeout(sending, c.timeout)
	defer cancel()
	f := c.transport.send(ctx, message, answer)
	if f != nil {
		return ofContext(ctx, f, c.timeout)
	}
	return nil
}

// pause waits before the next attempt: longer after each, and by chance, so that
// not all of a receiver's clients come at once.
func (c *courier) pause(ctx, sending context.Context, attempt int, asked time.Duration) {
	wait := min(firstWait<<min(attempt, 8), lastWait)
	wait = max(wait/2+rand.N(wait/2), asked)
	ending := ctx.Done()
	if ctx.Err() != nil {
		wait, ending = min(wait, hurried), nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ending:
	case <-sending.Done():
	}
}

func (c *courier) delivered(p partial, n uint64) {
	c.rejected.Add(min(p.rejected, n))
	if c.down {
		c.down = false
		c.complained = time.Time{}
		c.log.Info("receiver is there again")
	}
	if p.rejected > 0 || p.message != "" {
		c.complain("receiver took what was sent in part", nil, "rejected", p.rejected, "message", p.message)
	}
}

// complain writes a message, but not one for each of many failures.
func (c *courier) complain(what string, err error, more ...any) {
	now := time.Now()
	if now.Sub(c.complained) < complainEvery {
		return
	}
	c.complained = now
	if err != nil {
		more = append(more, "error", err)
	}
	c.log.Warn(what, more...)
}

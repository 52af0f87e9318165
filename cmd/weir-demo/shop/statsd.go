package shop

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stats collects counters and sends them over UDP each second, as statsd
// clients do. Its methods may be called from several goroutines.
type stats struct {
	prefix, addr string
	mu           sync.Mutex
	counters     map[string]int
}

func newStats(prefix, addr string) *stats {
	return &stats{prefix: prefix, addr: addr, counters: map[string]int{}}
}

func (s *stats) count(name string) {
	s.mu.Lock()
	s.counters[name]++
	s.mu.Unlock()
}

// flush takes what was counted since the last one, one line a counter.
func (s *stats) flush() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for name, n := range s.counters {
		fmt.Fprintf(&b, "%s.%s:%d|c\n", s.prefix, name, n)
		delete(s.counters, name)
	}
	return b.String()
}

// run sends until ctx ends. Losing counters is what UDP is for: errors are no reason to stop.
func (s *stats) run(ctx context.Context) error {
	if s.addr == "" {
		return nil
	}
	var conn net.Conn
	var seen note
	return every(ctx, time.Second, func() {
		if conn == nil {
			c, err := net.Dial("udp", s.addr)
			if err != nil {
				seen.say("statsd", err)
				return
			}
			conn = c
			context.AfterFunc(ctx, func() { c.Close() })
		}
		if text := s.flush(); text != "" {
			_, _ = conn.Write([]byte(text))
		}
	})
}

func runStatsd(ctx context.Context, args []string) error {
	fs := flags("statsd")
	listen := fs.String("listen", ":8125", "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	pc, err := net.ListenPacket("udp", *listen)
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	context.AfterFunc(ctx, func() { pc.Close() })
	totals, next := map[string]int{}, time.Now()
	buf := make([]byte, 1500)
	for {
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			return err
		}
		addCounters(totals, string(buf[:n]))
		if time.Now().After(next) {
			slog.Info("counters", "totals", totals)
			next = time.Now().Add(30 * time.Second)
		}
	}
}

// addCounters reads "name:value|c" lines; what is anything else is skipped, and
// past 1,000 names new ones are.
func addCounters(totals map[string]int, packet string) {
	for line := range strings.Lines(packet) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		value, kind, ok2 := strings.Cut(rest, "|")
		n, err := strconv.Atoi(value)
		if !ok || !ok2 || kind != "c" || err != nil || name == "" {
			continue
		}
		if _, known := totals[name]; known || len(totals) < 1000 {
			totals[name] += n
		}
	}
}

// every calls do at once and then each period, until ctx ends.
func every(ctx context.Context, period time.Duration, do func()) error {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/collector/flow"
)

func TestBlindTriesAgainLessAndLess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log locked
		var tries []time.Duration
		begun := time.Now()
		b := &blind{
			lookout: lookout{root: dir, tell: func(*flow.Event) {}}, wait: retryFirst, why: errors.New("no memory 1"),
			log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		b.open = func() (*bpf.Capture, error) {
			tries = append(tries, time.Since(begun).Round(time.Second))
			return nil, fmt.Errorf("no memory %d", min(len(tries), 3)) // which is news twice
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		if err := b.Run(ctx, nil); err != nil {
			t.Fatal(err)
		}
		s := time.Second
		if want := []time.Duration{2 * s, 6 * s, 14 * s, 30 * s, 62 * s, 126 * s, 254 * s, 510 * s, 810 * s, 1110 * s}; !slices.Equal(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
		if n := strings.Count(log.String(), "still nothing is captured"); n != 2 {
			t.Errorf("told %d times, want 2:\n%s", n, log.String())
		}
		if c, why := b.state(); c != nil || why.Error() != "no memory 3" {
			t.Errorf("state: %v, %v", c, why)
		}
	})
}

package ui

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
)

// smokeEnv makes the test binary the interface itself, on lively made-up data:
// the tmux test starts it so. It holds a mode, see smokeMain.
const smokeEnv = "WEIR_UI_SMOKE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(smokeEnv); mode != "" {
		os.Exit(smokeMain(mode))
	}
	os.Exit(m.Run())
}

// lively moves the shop's numbers with the clock.
type lively struct {
	mu    sync.Mutex
	shop  shop
	start time.Time
	seq   uint64
}

func (l *lively) snapshot() *aggregate.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	s, now := l.shop.snapshot(), time.Now()
	s.Seq, s.Time = l.seq, now.UnixNano()
	shift := now.Sub(noon).Nanoseconds()
	for i := range s.Flows {
		f := &s.Flows[i]
		wave := 1 + math.Sin(now.Sub(l.start).Seconds()/3+float64(i))
		f.SentRate.Payload *= wave
		f.ReceivedRate.Payload *= wave
		f.Start += l.start.Sub(noon).Nanoseconds()
		f.Last += shift
		if f.Ended != 0 {
			f.Ended += l.start.Sub(noon).Nanoseconds()
		}
	}
	for i := range s.Workloads {
		wave := 1 + math.Sin(now.Sub(l.start).Seconds()/4+float64(i))
		s.Workloads[i].SentRate.Payload *= wave
		s.Workloads[i].ReceivedRate.Payload *= wave
	}
	return s
}

func (l *lively) health() collector.Health {
	h, d := lossy(), time.Since(l.start).Seconds()
	h.Since = l.start.UnixNano()
	h.Events = uint64(12_000*d + 3_000*math.Sin(d))
	return h
}

// smokeMain runs the interface as a program. Modes: "run", and "panic", in which
// another goroutine dies after a second.
func smokeMain(mode string) int {
	l := &lively{shop: newShop(), start: time.Now()}
	guard := new(Guard)
	if mode == "panic" {
		go func() {
			defer guard.Recover()
			time.Sleep(time.Second)
			panic("smoke: on purpose")
		}()
	}
	err := Run(context.Background(), Config{Snapshot: l.snapshot, Health: l.health, Host: "testhost", Kernel: "6.18.44",
		Attached: "own capture", Guard: guard, View: os.Getenv("SMOKE_VIEW"), Filter: os.Getenv("SMOKE_FILTER"), Mouse: os.Getenv("SMOKE_MOUSE") != ""})
	if errors.Is(err, ErrNoTerminal) {
		fmt.Println("no terminal:", err)
		return 3
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

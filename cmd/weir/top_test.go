package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/ui"
)

func TestDeferredLog(t *testing.T) {
	var l deferredLog
	for i := range 10000 {
		fmt.Fprintf(&l, "line %d of a program that talks much\n", i)
	}
	var out bytes.Buffer
	l.flush(&out)
	s := out.String()
	if len(s) > keepLog || !strings.HasSuffix(s, "line 9999 of a program that talks much\n") || !strings.HasPrefix(s, "line ") {
		t.Errorf("%d bytes, from %.20q", len(s), s)
	}
	out.Reset()
	if l.flush(&out); out.Len() != 0 {
		t.Error("shown twice")
	}
}

// A recording that has ended is shown as it was at its end, for however long.
func TestReplayClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c replayClock
		v := aggregate.NewView(aggregate.ViewConfig{Clock: c.now})
		v.Snapshot()
		if err := v.Consume(t.Context(), flows(1)); err != nil {
			t.Fatal(err)
		}
		c.stop()
		for range 3 {
			time.Sleep(time.Hour)
			if n := v.Snapshot().Totals.Live; n != 1 {
				t.Errorf("%d flows live, want 1", n)
			}
		}
	})
}

func TestPlainTable(t *testing.T) {
	s := &aggregate.Snapshot{Time: 1_795_536_000_000_000_000, Totals: aggregate.Totals{Live: 3, Opened: 1234, OpenRate: 1.25, Failed: 2, Drops: 1}}
	s.Totals.SentRate.Payload = 2048
	for i := range plainRows + 2 {
		s.Workloads = append(s.Workloads, aggregate.WorkloadRow{
			Workload: &flow.Workload{Name: fmt.Sprintf("w%02d", i)}, Opened: uint64(100 - i), RTT: 1500 * int64(time.Microsecond),
		})
	}
	s.Workloads = append(s.Workloads, aggregate.WorkloadRow{SentRate: aggregate.Rates{Payload: 512}})
	got := string(plainTable(s, map[flow.Loss]uint64{{Stage: "a"}: 3, {Stage: "b"}: 4}, ui.Policies{}))
	lines := strings.Split(got, "\n")
	if lines[0] != "2026-11-24T16:00:00Z  3 live, 1,234 opened (1.2/s), 2 failed, 1 dropped packets, 2.0 KiB/s, 7 lost" {
		t.Errorf("first line %q", lines[0])
	}
	if !strings.HasPrefix(lines[2], "world ") || !strings.HasPrefix(lines[3], "w00 ") || !strings.Contains(lines[3], " 1.5ms ") {
		t.Errorf("rows\n%s\n%s", lines[2], lines[3])
	}
	if !strings.Contains(got, "and 3 workloads more\n") {
		t.Errorf("rest is not told:\n%s", got)
	}
}

package main

import (
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func TestMeter(t *testing.T) {
	now := time.Unix(1000, 0)
	m := newMeter(func() time.Time { return now })
	feed := func(kind flow.RecordKind, bytes uint64) {
		t.Helper()
		r := flow.Record{Kind: kind, Delta: flow.Delta{Sent: flow.Counters{Payload: bytes}, Received: flow.Counters{Payload: bytes}}}
		if err := m.Consume(t.Context(), []flow.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if live, opened, bytes := m.rates(); live != 0 || opened != 0 || bytes != 0 {
		t.Errorf("at the start: %d %v %v", live, opened, bytes)
	}
	now = now.Add(500 * time.Millisecond)
	feed(flow.RecordStart, 50)
	feed(flow.RecordStart, 0)
	feed(flow.RecordEnd, 50)
	now = now.Add(1500 * time.Millisecond)
	if live, opened, bytes := m.rates(); live != 1 || opened != 1 || bytes != 100 {
		t.Errorf("after two seconds: %d live, %v flows/s, %v bytes/s; want 1, 1, 100", live, opened, bytes)
	}
	for range 20 {
		now = now.Add(time.Second)
		feed(flow.RecordUpdate, 5)
	}
	if _, opened, bytes := m.rates(); opened != 0 || bytes < 9 || bytes > 12 {
		t.Errorf("after a steady time: %v flows/s, %v bytes/s; want 0, about 10", opened, bytes)
	}
	now = now.Add(time.Hour)
	if _, _, bytes := m.rates(); bytes > 1 {
		t.Errorf("after an hour of silence: %v bytes/s", bytes)
	}
	feed(flow.RecordEnd, 0)
	feed(flow.RecordEnd, 0)
	if live, _, _ := m.rates(); live != 0 {
		t.Errorf("%d live, want 0", live)
	}
}

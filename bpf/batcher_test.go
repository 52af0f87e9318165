package bpf

import (
	"context"
	"errors"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// narrow is an edge with no room for what is offered, and for so many batches that are sent.
type narrow struct {
	room                int
	sent, offered, full int // events
}

func (n *narrow) Batch() []flow.Event { return make([]flow.Event, 0, 4) }

func (n *narrow) Offer(b []flow.Event) {
	n.offered += len(b)
	n.full += len(b)
}

func (n *narrow) Send(_ context.Context, b []flow.Event) error {
	if n.room == 0 {
		return errors.New("no room in time")
	}
	n.room--
	n.sent += len(b)
	return nil
}

func TestReadingWaitsForRoom(t *testing.T) {
	out := &narrow{room: 2}
	b := &batcher{out: out}
	fill := func(n int) {
		for range n {
			b.next().Kind = flow.KindTally
		}
	}
	fill(3)
	// The three are a live source's and are offered; ten wait for room, which ends after two batches.
	if err := b.patiently(t.Context(), func() error { fill(10); return nil }); err != nil {
		t.Fatal(err)
	}
	fill(1)
	b.flush()
	if out.sent != 8 || out.offered != 3+2+1 {
		t.Errorf("sent %d, offered %d", out.sent, out.offered)
	}
}

func TestExchangeTableFitsItsMemory(t *testing.T) {
	for cpus, want := range map[int]uint32{1: 65536, 4: 65536, 8: 32768, 64: 4096, 4096: 4096} {
		if got := exchangeEntries(cpus); got != want {
			t.Errorf("%d processors: %d entries, want %d", cpus, got, want)
		}
	}
}

package collector

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func open(cookie uint64) flow.Event {
	now := time.Now().UnixNano()
	return flow.Event{Kind: flow.KindOpen, Time: now, Socket: flow.Socket{
		Cookie: cookie, Cgroup: 5, Protocol: flow.TCP, Role: flow.RoleClient, Start: now,
		Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(cookie)),
		Remote: netip.MustParseAddrPort("192.0.2.1:80"),
	}}
}

func TestLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src := funcSource{run: func(ctx context.Context, out Out) error {
			batch := append(out.Batch(), open(1), open(2), open(3))
			gone := open(3)
			gone.Kind, gone.Socket.End = flow.KindClose, flow.EndClosed
			out.Offer(append(batch, gone))
			<-ctx.Done()
			return nil
		}}
		c := New(Config{}, src, aggregate.NewTable(aggregate.Config{}, nobody{}))
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(5 * time.Second)
		seen := map[uint16]bool{}
		c.Living(func(r *flow.Record) bool {
			if r.Kind != flow.RecordUpdate || r.Flow.Ended != 0 || r.Delta != (flow.Delta{}) || r.Flow.Client.Workload == nil {
				t.Errorf("record %+v", r)
			}
			seen[r.Flow.Client.Addr.Port()] = true
			return true
		})
		if len(seen) != 2 || !seen[1] || !seen[2] {
			t.Errorf("living flows of ports %v, want 1 and 2", seen)
		}
		calls := 0
		c.Living(func(*flow.Record) bool { calls++; return false })
		if calls != 1 {
			t.Errorf("%d records after yield said no", calls)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		c.Living(func(*flow.Record) bool { t.Error("a record after the end"); return false })
	})
}

// A recording can wait: a slow sink costs time, and nothing is lost.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flows = 2000
		slow := &memory{name: "slow", consume: func(context.Context, []flow.Record) error { time.Sleep(10 * time.Second); return nil }}
		src := funcSource{run: func(ctx context.Context, out Out) error {
			for i := range flows {
				if err := out.Send(ctx, append(out.Batch(), open(uint64(i+1)))); err != nil {
					return err
				}
			}
			return nil
		}}
		c := New(Config{SinkBatches: 1, Wait: true}, src, aggregate.NewTable(aggregate.Config{}, nobody{}), slow)
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := slow.count(flow.RecordStart); n != flows {
			t.Errorf("%d flows reached the slow sink, want %d; lost %v", n, flows, c.Health().Lost)
		}
	})
}

// The end of the context ends the waiting too.
func TestWaitStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stuck := &memory{name: "stuck", consume: func(ctx context.Context, _ []flow.Record) error {
			<-ctx.Done()
			return errors.New("gave up")
		}}
		src := funcSource{run: func(ctx context.Context, out Out) error {
			for i := uint64(1); ; i++ {
				if err := out.Send(ctx, append(out.Batch(), open(i))); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
		}}
		c := New(Config{SinkBatches: 1, Drain: time.Second, Wait: true}, src, aggregate.NewTable(aggregate.Config{}, nobody{}), stuck)
		began := time.Now()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute+5*time.Second {
			t.Errorf("the end took %v", took-time.Minute)
		}
		h := c.Health()
		if h.Lost[flow.Loss{Stage: "stuck", Reason: "stopped"}] == 0 || h.Lost[flow.Loss{Stage: "stuck", Reason: "queue_full"}] != 0 {
			t.Errorf("lost %v", h.Lost)
		}
	})
}

package hubble_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// listener follows an observer within a synctest bubble.
type listener struct {
	mu    sync.Mutex
	flows []uint64
	kinds []string
	lost  []*flowpb.LostEvent
	hold  chan struct{} // closed lets send go on
	end   chan error
	stop  context.CancelFunc
}

func listen(t *testing.T, o *hubble.Observer, req *observerpb.GetFlowsRequest, hold chan struct{}) *listener {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{hold: hold, end: make(chan error, 1), stop: cancel}
	req.Follow = true
	go func() {
		l.end <- o.Flows(ctx, req, func(res *observerpb.GetFlowsResponse) error {
			if l.hold != nil {
				<-l.hold
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if e := res.GetLostEvents(); e != nil {
				l.lost = append(l.lost, e)
				return nil
			}
			f := res.GetFlow()
			l.flows = append(l.flows, uint64(f.GetTime().AsTime().Sub(at(0))/time.Millisecond))
			//lint:ignore SA1019 deprecated, and the only text there is
			l.kinds = append(l.kinds, f.GetSummary())
			return nil
		})
	}()
	synctest.Wait()
	return l
}

func (l *listener) got() []uint64 {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.flows)
}

func (l *listener) losses() []*flowpb.LostEvent {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lost)
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := hubble.NewObserver(hubble.Config{})
		fill(t, o, 1, 10)
		plain := listen(t, o, &observerpb.GetFlowsRequest{}, nil)
		last := listen(t, o, &observerpb.GetFlowsRequest{Number: 2}, nil)
		since := listen(t, o, &observerpb.GetFlowsRequest{Since: ts(8)}, nil)
		even := listen(t, o, &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{{DestinationPort: []string{"80"}}}}, nil)
		until := listen(t, o, &observerpb.GetFlowsRequest{Number: 1, Until: ts(12)}, nil)
		for id := uint64(11); id <= 14; id++ {
			r := recordtest.New(id, flow.RecordStart)
			if id%2 == 0 {
				r.Flow.Server.Addr = addrPort("198.51.100.7:80")
			}
			consume(t, o, r, recordtest.New(id+100, flow.RecordUpdate))
		}
		for _, tt := range []struct {
			name string
			l    *listener
			want []uint64
		}{
			{"from now", plain, span2(11, 14)},
			{"the last two first", last, span2(9, 14)},
			{"since", since, span2(8, 14)},
			{"filtered", even, []uint64{12, 14}},
			{"until", until, []uint64{10, 11, 12}},
		} {
			if got := tt.l.got(); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		if err := <-until.end; err != nil {
			t.Errorf("past until: %v", err)
		}
		for _, l := range []*listener{plain, last, since, even} {
			l.stop()
			if err := <-l.end; !errors.Is(err, context.Canceled) {
				t.Errorf("stopped: %v", err)
			}
		}
		// Nobody listens any more: nothing is queued for them.
		fill(t, o, 20, 30)
		if got := plain.got(); len(got) != 4 {
			t.Errorf("a stopped listener got %v", got)
		}
	})
}

func TestUpdatesAndSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o *hubble.Observer
		calls := 0
		o = hubble.NewObserver(hubble.Config{Live: func(yield func(*flow.Record) bool) {
			calls++
			// While the snapshot is taken, records come that it tells already,
			// and one that it does not.
			stale, fresh := recordtest.New(50, flow.RecordUpdate), recordtest.New(900, flow.RecordUpdate)
			stale.Flow.ID, fresh.Flow.ID = 1, 1
			consume(t, o, stale, fresh, recordtest.New(51, flow.RecordStart))
			for i, id := range []uint64{1, 2} {
				r := recordtest.New(100+uint64(i), flow.RecordUpdate)
				r.Flow.ID = id
				if !yield(&r) {
					return
				}
			}
		}})
		fill(t, o, 1, 10)
		l := listen(t, o, &observerpb.GetFlowsRequest{Extensions: hubble.Want{Updates: true, Snapshot: true}.Extensions()}, nil)
		want := []uint64{100, 101, 900, 51}
		if got := l.got(); !slices.Equal(got, want) || calls != 1 {
			t.Errorf("got %v, want %v; %d calls", got, want, calls)
		}
		// Later on nothing is held back.
		r := recordtest.New(60, flow.RecordUpdate)
		r.Flow.ID = 2
		consume(t, o, r)
		if got := l.got(); !slices.Equal(got, append(want, 60)) {
			t.Errorf("then %v", got)
		}
		l.stop()
		<-l.end
	})
}

// A client that does not read costs the collector nothing and itself what it
// missed; it is told how much.
func TestSlowFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := hubble.NewObserver(hubble.Config{})
		hold := make(chan struct{})
		slow := listen(t, o, &observerpb.GetFlowsRequest{}, hold)
		quick := listen(t, o, &observerpb.GetFlowsRequest{}, nil)
		const n = 100_000
		for id := uint64(1); id <= n; id += 1000 {
			fill(t, o, id, id+999)
			synctest.Wait() // the quick one keeps up
		}
		if got := quick.got(); len(got) != n {
			t.Errorf("the quick one got %d", len(got))
		}
		lost := o.Lost()[flow.Loss{Stage: "observer", Reason: "follower_slow"}]
		close(hold)
		got := slow.got()
		if uint64(len(got))+lost != n || lost == 0 || len(got) < 32_000 {
			t.Errorf("%d delivered and %d lost of %d", len(got), lost, n)
		}
		if !slices.Equal(got, span2(1, uint64(len(got)))) {
			t.Error("what was dropped is not the newest")
		}
		time.Sleep(time.Second)
		told := slow.losses()
		if len(told) != 1 || told[0].GetNumEventsLost() != lost || told[0].GetSource() != flowpb.LostEventSource_HUBBLE_RING_BUFFER {
			t.Errorf("told of %v, lost %d", told, lost)
		}
		if l := quick.losses(); len(l) != 0 {
			t.Errorf("the quick one was told of %v", l)
		}
		for _, l := range []*listener{slow, quick} {
			l.stop()
			<-l.end
		}
	})
}

// New losses of the pipeline are told to who follows, past all filters, at most
// once a second; and to who reads later what they cover.
func TestLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		h := collector.Health{Lost: map[flow.Loss]uint64{}, Source: flow.SourceStats{PerCPU: make([]flow.CPUCounts, 2)}}
		lose := func(stage string, cpu int, n uint64) {
			mu.Lock()
			defer mu.Unlock()
			h.Lost[flow.Loss{Stage: stage, Reason: "r"}] += n
			if cpu >= 0 {
				h.Source.PerCPU[cpu].Lost += n
			}
		}
		o := hubble.NewObserver(hubble.Config{Health: func() collector.Health {
			mu.Lock()
			defer mu.Unlock()
			c := collector.Health{Lost: map[flow.Loss]uint64{}, Source: flow.SourceStats{PerCPU: slices.Clone(h.Source.PerCPU)}}
			for k, v := range h.Lost {
				c.Lost[k] = v
			}
			return c
		}})
		none := &flowpb.FlowFilter{Uuid: []string{"no such flow"}}
		l := listen(t, o, &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{none}}, nil)
		lose("kernel", 1, 5)
		lose("prom", -1, 1000) // another sink's, no client's business
		time.Sleep(1100 * time.Millisecond)
		lose("aggregate", -1, 2)
		lose("kernel", 0, 1)
		lose("kernel", 1, 1)
		time.Sleep(5 * time.Second)
		got := l.losses()
		if len(got) != 3 {
			t.Fatalf("told %d times: %v", len(got), got)
		}
		if got[0].GetSource() != flowpb.LostEventSource_PERF_EVENT_RING_BUFFER || got[0].GetNumEventsLost() != 5 || got[0].GetCpu().GetValue() != 1 {
			t.Errorf("first %v", got[0])
		}
		sum := map[flowpb.LostEventSource]uint64{}
		for _, e := range got[1:] {
			sum[e.GetSource()] += e.GetNumEventsLost()
			if e.GetCpu() != nil {
				t.Errorf("two processors lost, one is named: %v", e)
			}
		}
		if sum[flowpb.LostEventSource_PERF_EVENT_RING_BUFFER] != 2 || sum[flowpb.LostEventSource_OBSERVER_EVENTS_QUEUE] != 2 {
			t.Errorf("then %v", sum)
		}
		l.stop()
		<-l.end

		// A flow from before the losses, and then one from after them.
		for _, tt := range []struct {
			when time.Time
			want uint64
		}{{time.Now().Add(-time.Minute), 9}, {time.Now().Add(time.Minute), 0}} {
			r := recordtest.New(1, flow.RecordStart)
			r.Time = tt.when.UnixNano()
			consume(t, o, r)
			var n uint64
			err := o.Flows(t.Context(), &observerpb.GetFlowsRequest{Since: timestamppb.New(tt.when)}, func(res *observerpb.GetFlowsResponse) error {
				n += res.GetLostEvents().GetNumEventsLost()
				return nil
			})
			if err != nil || n != tt.want {
				t.Errorf("since %v: told of %d, want %d; %v", tt.when, n, tt.want, err)
			}
		}
	})
}

func TestTooManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := hubble.NewObserver(hubble.Config{})
		var all []*listener
		for range 64 {
			all = append(all, listen(t, o, &observerpb.GetFlowsRequest{}, nil))
		}
		req := &observerpb.GetFlowsRequest{}
		send := func(*observerpb.GetFlowsResponse) error { return nil }
		if err := o.Flows(t.Context(), req, send); !errors.Is(err, hubble.ErrBusy) {
			t.Errorf("the 65th: %v", err)
		}
		all[0].stop()
		<-all[0].end
		if err := o.Flows(t.Context(), req, send); err != nil {
			t.Errorf("after one left: %v", err)
		}
		for _, l := range all[1:] {
			l.stop()
			<-l.end
		}
	})
}

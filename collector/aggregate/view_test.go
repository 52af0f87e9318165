package aggregate

import (
	"math"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// viewRig is a view on a clock that the test moves.
type viewRig struct {
	*testing.T
	view *View
	now  time.Time
}

func newViewRig(t *testing.T, max int) *viewRig {
	r := &viewRig{T: t, now: time.Unix(1000, 0)}
	r.view = NewView(ViewConfig{MaxFlows: max, Clock: func() time.Time { return r.now }})
	return r
}

func (r *viewRig) tell(records ...flow.Record) {
	r.Helper()
	if err := r.view.Consume(r.Context(), records); err != nil {
		r.Fatal(err)
	}
}

// after moves the clock and takes a snapshot.
func (r *viewRig) after(d time.Duration) *Snapshot {
	r.now = r.now.Add(d)
	return r.view.Snapshot()
}

var (
	webWorkload = &flow.Workload{CgroupID: 1, Name: "web"}
	dbWorkload  = &flow.Workload{CgroupID: 2, Name: "db"}
)

// record makes one of a flow from web to db; deltas are payload bytes.
func record(k flow.RecordKind, id uint64, ms int, sent, received uint64) flow.Record {
	f := flow.Flow{ID: id, Protocol: flow.TCP, Start: at(0), Last: at(ms)}
	f.Client = flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:4000"), Workload: webWorkload, Seen: true}
	f.Server = flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.3:3306"), Workload: dbWorkload, Seen: true}
	if k == ending {
		f.End, f.Ended = flow.EndClosed, at(ms)
	}
	return flow.Record{Kind: k, Time: at(ms), Flow: f, Delta: flow.Delta{
		Sent: flow.Counters{Payload: sent}, Received: flow.Counters{Payload: received},
	}}
}

func (r *viewRig) workload(s *Snapshot, w *flow.Workload) WorkloadRow {
	r.Helper()
	for _, row := range s.Workloads {
		if keyOf(row.Workload) == keyOf(w) {
			return row
		}
	}
	r.Fatalf("no row for %v in %d rows", w, len(s.Workloads))
	return WorkloadRow{}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.02*math.Abs(want) {
		t.Errorf("%s: %.1f, want %.1f", what, got, want)
	}
}

// A steady flow shows one rate at every moment between its records.
func TestSteadyRate(t *testing.T) {
	r := newViewRig(t, 0)
	r.tell(record(start, 1, 0, 0, 0))
	for s := 1; s <= 5; s++ {
		r.after(time.Second)
		r.tell(record(update, 1, s*1000, 1000, 3000))
		for range 2 {
			snap := r.after(0)
			if s < 2 {
				break // two records are needed
			}
			near(t, "sent", snap.Flows[0].SentRate.Payload, 1000)
			near(t, "received", snap.Flows[0].ReceivedRate.Payload, 3000)
			near(t, "total", snap.Totals.SentRate.Payload, 1000)
			near(t, "web sends", r.workload(snap, webWorkload).SentRate.Payload, 1000)
			near(t, "db sends", r.workload(snap, dbWorkload).SentRate.Payload, 3000)
			r.after(600 * time.Millisecond)
			r.now = r.now.Add(-600 * time.Millisecond)
		}
	}
}

// A recording is older than the clock; its rates are rates all the same.
func TestViewOfThePast(t *testing.T) {
	r := newViewRig(t, 0)
	r.now = time.Unix(0, at(0)).Add(1000 * time.Hour)
	r.view = NewView(ViewConfig{Clock: func() time.Time { return r.now }})
	r.tell(record(start, 1, 0, 0, 0), record(update, 1, 1000, 1000, 0), record(update, 1, 2000, 1000, 0))
	s := r.after(time.Second)
	near(t, "sent", s.Flows[0].SentRate.Payload, 1000)
	if s.Time != at(3000) {
		t.Errorf("time %v after the recording's start", time.Duration(s.Time-at(0)))
	}
}

// Rates sink when nothing more comes, and a snapshot is made of it though no
// record came.
func TestRateSinks(t *testing.T) {
	r := newViewRig(t, 0)
	r.tell(record(start, 1, 0, 0, 0), record(update, 1, 1000, 1000, 0), record(update, 1, 2000, 1000, 0))
	first := r.after(500 * time.Millisecond)
	later := r.after(2 * time.Second)
	last := r.after(2 * time.Second)
	a, b, c := first.Flows[0].SentRate.Payload, later.Flows[0].SentRate.Payload, last.Flows[0].SentRate.Payload
	if !(a > b && b > 0 && c == 0) {
		t.Errorf("rates %.0f, %.0f, %.0f; want them to sink to 0", a, b, c)
	}
	if again := r.after(time.Second); again != last {
		t.Error("a new snapshot though nothing changed")
	}
}

// Bytes from before weir are no rate, and old flows were not opened.
func TestPreexistingIsNoRate(t *testing.T) {
	r := newViewRig(t, 0)
	old := record(start, 1, 0, 0, 0)
	old.Flow.Preexisting, old.Flow.Sent.Payload = true, 1e9
	r.tell(old)
	s := r.after(time.Second)
	if s.Flows[0].SentRate != (Rates{}) || s.Totals.Opened != 0 || s.Totals.Live != 1 {
		t.Errorf("rate %+v, totals %+v", s.Flows[0].SentRate, s.Totals)
	}
}

// Short flows leave no row behind that still sends, but their bytes count.
func TestShortFlowsCount(t *testing.T) {
	r := newViewRig(t, 0)
	id := uint64(0)
	for s := range 6 {
		for i := range 10 {
			id++
			ms := s*1000 + i*100
			r.tell(record(start, id, ms, 100, 0), record(ending, id, ms, 0, 0))
			r.after(100 * time.Millisecond)
		}
	}
	s := r.after(0)
	near(t, "sent", s.Totals.SentRate.Payload, 1000)
	near(t, "opened", s.Totals.OpenRate, 10)
	w := r.workload(s, dbWorkload)
	near(t, "db receives", w.ReceivedRate.Payload, 1000)
	near(t, "db opened", w.OpenRate, 10)
	w = r.workload(r.after(time.Second), dbWorkload)
	if w.Opened != 60 || w.Received.Payload != 6000 || w.Live != 0 {
		t.Errorf("row %+v", w)
	}
}

func TestWorkloadRows(t *testing.T) {
	r := newViewRig(t, 0)
	out := record(start, 2, 0, 50, 0)
	out.Flow.Server.Workload, out.Flow.Server.Addr = nil, netip.MustParseAddrPort("1.1.1.1:53")
	out.Flow.RTT = 3000
	out2 := out
	out2.Flow.ID, out2.Flow.Server.Addr = 3, netip.MustParseAddrPort("1.1.1.1:443")
	first := record(start, 1, 0, 100, 200)
	first.Flow.RTT = 1000
	failed := record(ending, 4, 10, 0, 0)
	failed.Flow.End = flow.EndRefused
	drop := record(dropped, 1, 20, 0, 0)
	drop.Drop, drop.Flow.RTT = &flow.Drop{Packets: 7}, 1000
	drop.Delta.Retransmits = 2
	own := record(start, 5, 0, 10, 20)
	own.Flow.Server.Workload = webWorkload
	r.tell(first, out, out2, record(start, 4, 10, 0, 0), failed, drop, own)
	s := r.after(time.Second)

	w := r.workload(s, webWorkload)
	want := WorkloadRow{Live: 4, Opened: 5, Failed: 1, Drops: 7, Retransmits: 2, Peers: 3, RTT: (1000 + 3000 + 3000) / 3}
	got := WorkloadRow{Live: w.Live, Opened: w.Opened, Failed: w.Failed, Drops: w.Drops, Retransmits: w.Retransmits, Peers: w.Peers, RTT: w.RTT}
	if got != want {
		t.Errorf("web %+v\nwant %+v", got, want)
	}
	if w.Sent.Payload != 100+50+50+10+20 || w.Received.Payload != 200+20+10 {
		t.Errorf("web sent %d and received %d", w.Sent.Payload, w.Received.Payload)
	}
	if world := r.workload(s, nil); world.Live != 2 || world.Received.Payload != 100 || world.Peers != 1 {
		t.Errorf("world %+v", world)
	}
	if s.Totals.Live != 4 || s.Totals.Failed != 1 || s.Totals.Drops != 7 || s.Totals.Opened != 5 {
		t.Errorf("totals %+v", s.Totals)
	}
}

// A name that becomes known later belongs to the same row.
func TestWorkloadGetsItsName(t *testing.T) {
	r := newViewRig(t, 0)
	early := record(start, 1, 0, 10, 0)
	early.Flow.Client.Workload = &flow.Workload{CgroupID: 1, Name: "?", Pending: true}
	r.tell(early, record(update, 1, 1000, 10, 0))
	s := r.after(time.Second)
	if w := r.workload(s, webWorkload); w.Workload != webWorkload || w.Sent.Payload != 20 || len(s.Workloads) != 2 {
		t.Errorf("row %+v of %d", w, len(s.Workloads))
	}
}

// Another host's workloads have no cgroup ids here, and each record its own copy.
func TestRemoteWorkloads(t *testing.T) {
	r := newViewRig(t, 0)
	for i := range 3 {
		x := record(update, 1, 1000*i, 10, 0)
		x.Flow.Client.Workload = &flow.Workload{Namespace: "shop", Name: "web"}
		x.Flow.Server.Workload = &flow.Workload{Namespace: "shop", Name: "db"}
		r.tell(x)
	}
	if s := r.after(time.Second); len(s.Workloads) != 2 || len(s.Flows) != 1 || s.Totals.Opened != 0 {
		t.Errorf("%d workloads, %d flows, %+v", len(s.Workloads), len(s.Flows), s.Totals)
	}
}

func TestEndedFlowsLeave(t *testing.T) {
	r := newViewRig(t, 0)
	orphan := record(dropped, 2, 0, 0, 0)
	orphan.Flow.Ended = at(0)
	r.tell(record(start, 1, 0, 0, 0), record(ending, 1, 0, 0, 0), orphan, record(start, 3, 0, 0, 0))
	if s := r.after(29 * time.Second); len(s.Flows) != 3 || s.Totals.Live != 1 {
		t.Errorf("%d flows, %d live after 29 s", len(s.Flows), s.Totals.Live)
	}
	s := r.after(2 * time.Second)
	if len(s.Flows) != 1 || s.Flows[0].ID != 3 {
		t.Errorf("%d flows after 31 s", len(s.Flows))
	}
	if s := r.after(6 * time.Minute); len(s.Workloads) != 2 {
		t.Errorf("%d workloads left, two have a living flow", len(s.Workloads))
	}
	r.tell(record(ending, 3, 400_000, 0, 0))
	r.after(10 * time.Minute)
	if s := r.after(time.Second); len(s.Workloads) != 0 || len(s.Flows) != 0 {
		t.Errorf("%d workloads and %d flows left at rest", len(s.Workloads), len(s.Flows))
	}
}

func TestSnapshotOnlyWhenAsked(t *testing.T) {
	r := newViewRig(t, 0)
	first := r.after(0)
	if first == nil || first.Seq != 0 {
		t.Fatalf("first snapshot %+v", first)
	}
	r.tell(record(start, 1, 0, 0, 0))
	if s := r.after(499 * time.Millisecond); s != first {
		t.Error("a second snapshot within 500 ms")
	}
	s := r.after(time.Millisecond)
	if s.Seq != 1 || len(s.Flows) != 1 || s.Time < at(0) {
		t.Errorf("snapshot %+v", s)
	}
	r.tell(record(update, 1, 10, 5, 0))
	r.after(5 * time.Second)
	if len(s.Flows) != 1 || s.Flows[0].SentRate != (Rates{}) {
		t.Error("a snapshot that was handed out has changed")
	}
}

func TestViewIsBounded(t *testing.T) {
	r := newViewRig(t, 10)
	for i := range 25 {
		r.tell(record(start, uint64(i+1), 0, 1, 0))
	}
	s := r.after(time.Second)
	if len(s.Flows) != 10 || s.Totals.Unshown != 15 || s.Totals.Opened != 25 {
		t.Errorf("%d flows, totals %+v", len(s.Flows), s.Totals)
	}
	for i := range maxEnded + 1000 {
		id := uint64(1000 + i)
		r.view.max = 1 << 20
		r.tell(record(start, id, 0, 0, 0), record(ending, id, 0, 0, 0))
	}
	if n := len(r.view.flows); n != maxEnded+10 {
		t.Errorf("%d flows kept", n)
	}
	for i := range maxWorkloads + 5 {
		x := record(update, 1, 0, 0, 0)
		x.Flow.Client.Workload = &flow.Workload{CgroupID: uint64(i + 1)}
		r.tell(x)
	}
	if n := len(r.view.workloads); n != maxWorkloads {
		t.Errorf("%d workloads kept", n)
	}
	r.after(time.Second)
}

// Snapshots are taken beside Consume; the race detector looks on.
func TestViewMeanwhile(t *testing.T) {
	v := NewView(ViewConfig{})
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		asking.Go(func() {
			for last := uint64(0); ; {
				s := v.Snapshot()
				if s.Seq < last {
					t.Errorf("snapshot %d after %d", s.Seq, last)
				}
				last = s.Seq
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 2000 {
		if err := v.Consume(t.Context(), []flow.Record{record(start, uint64(i%50), i, 1, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	asking.Wait()
}

func BenchmarkViewSnapshot(b *testing.B) {
	now := time.Unix(1000, 0)
	v := NewView(ViewConfig{Clock: func() time.Time { return now }})
	for i := range 50_000 {
		if err := v.Consume(b.Context(), []flow.Record{record(start, uint64(i), 0, 1, 1)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(rebuildEvery)
		v.news = true
		v.Snapshot()
	}
}

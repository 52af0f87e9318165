package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

var (
	shopWeb = &flow.Workload{Name: "web", Namespace: "shop"}
	shopDB  = &flow.Workload{Name: "db", Namespace: "shop"}
)

// change is a record of a connection from client to server.
func change(kind flow.RecordKind, at time.Time, client, server *flow.Workload, sent, received uint64) flow.Record {
	r := flow.Record{Kind: kind, Time: at.UnixNano()}
	r.Flow.Client.Workload, r.Flow.Server.Workload = client, server
	r.Delta.Sent.Payload, r.Delta.Received.Payload = sent, received
	return r
}

// passes lets a store see every minute up to now.
func passes(t *testing.T, s *Store, now *time.Time, minutes int) {
	t.Helper()
	for range minutes {
		*now = now.Add(time.Minute)
		s.tend(t.Context())
	}
}

func windowOf(t *testing.T, r *Reader, since, until time.Time) *Window {
	t.Helper()
	w, err := r.Window(t.Context(), since, until)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(w.Workloads, func(a, b WindowWorkload) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Operations, func(a, b WindowOperation) int { return cmp.Compare(a.Route, b.Route) })
	return w
}

// A window sums up what connections and exchanges did in it, before a restart and after
// it, and says how long nobody looked.
func TestWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	now, lost := noon, uint64(7)
	start := func() *Store {
		s, err := Open(Config{Path: path, Now: func() time.Time { return now }, Account: func() (uint64, bool) { return lost, true }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	s.tend(t.Context())
	end := change(flow.RecordEnd, now, shopWeb, shopDB, 1, 2)
	end.Flow.End = flow.EndRefused
	drop := change(flow.RecordDrop, now, shopWeb, shopDB, 0, 0)
	drop.Drop = &flow.Drop{Packets: 5}
	old := change(flow.RecordStart, now, shopWeb, nil, 0, 0)
	old.Flow.Preexisting = true
	self := change(flow.RecordStart, now, shopDB, shopDB, 10, 20)
	self.Delta.Retransmits = 3
	consume := func(batch ...flow.Record) {
		t.Helper()
		if err := s.Consume(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	consume(change(flow.RecordStart, now, shopWeb, shopDB, 0, 0), change(flow.RecordUpdate, now, shopWeb, shopDB, 100, 1000), end, drop, old, self,
		tally(now, "/users/{id}", 3, false))
	lost = 9
	passes(t, s, &now, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now, lost = now.Add(10*time.Minute), 0 // a daemon begins to count anew
	s = start()
	defer s.Close()
	passes(t, s, &now, 3)
	consume(change(flow.RecordStart, now, nil, shopWeb, 0, 0), tally(now, "/users/{id}", 4, true))
	lost = 1
	passes(t, s, &now, 1)
	s.flush(t.Context(), true)

	w := windowOf(t, s.Reader, noon.Add(-time.Hour), now)
	if !w.Since.Equal(noon.Add(-time.Hour)) || !w.First.Equal(noon) || w.Gaps != 1 || w.Gap != 10*time.Minute || w.Watched != 6*time.Minute || w.Lost != 7+2+1 {
		t.Errorf("since %v, first %v, %d gaps of %v, watched %v, lost %d", w.Since, w.First, w.Gaps, w.Gap, w.Watched, w.Lost)
	}
	if want := (Traffic{Opened: 3, Failed: 1, Drops: 5, Retransmits: 3, Sent: 111, Received: 1022}); w.Total != want {
		t.Errorf("total %+v, want %+v", w.Total, want)
	}
	if len(w.Workloads) != 3 {
		t.Fatalf("workloads %+v", w.Workloads)
	}
	world, db, web := w.Workloads[0], w.Workloads[1], w.Workloads[2]
	if world.Name != "" || world.Traffic != (Traffic{Opened: 1}) {
		t.Errorf("world %+v", world)
	}
	if want := (Traffic{Opened: 2, Failed: 1, Drops: 5, Retransmits: 3, Sent: 1002 + 30, Received: 101 + 30}); db.Name != "shop/db" || db.Traffic != want {
		t.Errorf("db %+v, want %+v", db, want)
	}
	if want := (Traffic{Opened: 2, Failed: 1, Drops: 5, Sent: 101, Received: 1002}); web.Name != "shop/web" || web.Traffic != want {
		t.Errorf("web %+v, want %+v", web, want)
	}
	if len(web.Asked) != 1 || web.Asked[0].Requests != 7 || web.Asked[0].Errors != 4 || web.Asked[0].P99 == 0 || web.Asked[0].Protocol != flow.HTTP || web.Served != nil {
		t.Errorf("web asked %+v, served %+v", web.Asked, web.Served)
	}
	if len(w.Operations) != 1 || w.Operations[0].Client != "shop/web" || w.Operations[0].Server != "api.example.com" || w.Operations[0].Requests != 7 {
		t.Errorf("operations %+v", w.Operations)
	}

	w = windowOf(t, s.Reader, now.Add(-2*time.Minute), now.Add(30*time.Second))
	if w.Gaps != 0 || w.Watched != 2*time.Minute+30*time.Second || w.Operations[0].Requests != 4 || w.Total.Opened != 1 {
		t.Errorf("the last minutes: %+v", w)
	}
	// The present minute may be yet to be written, but not the one before.
	if w = windowOf(t, s.Reader, now, now.Add(2*time.Minute)); w.Gaps != 1 || w.Gap != time.Minute {
		t.Errorf("%d gaps of %v", w.Gaps, w.Gap)
	}
}

// A minute in which nothing was seen is not watched, and neither is one that could not
// be written.
func TestUnwatched(t *testing.T) {
	now, watching := noon, true
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Now: func() time.Time { return now }, Account: func() (uint64, bool) { return 0, watching }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tend(t.Context())
	watching = false
	passes(t, s, &now, 2)
	watching = true
	passes(t, s, &now, 1)
	w := windowOf(t, s.Reader, noon, now)
	if w.Gaps != 1 || w.Gap != 2*time.Minute || w.Watched != time.Minute {
		t.Errorf("%d gaps of %v, watched %v", w.Gaps, w.Gap, w.Watched)
	}
}

// Retention takes the numbers with it, and a window says from when on there are any.
func TestWindowOfPruned(t *testing.T) {
	now := noon
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Age: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Consume(t.Context(), []flow.Record{change(flow.RecordStart, now, shopWeb, shopDB, 1, 1)}); err != nil {
		t.Fatal(err)
	}
	passes(t, s, &now, 90)
	w := windowOf(t, s.Reader, noon, now)
	if !w.First.Equal(noon.Add(30*time.Minute)) || w.Gaps != 0 || w.Total != (Traffic{}) {
		t.Errorf("first %v, %d gaps, %+v", w.First, w.Gaps, w.Total)
	}
}

// More than a window has room for is summed up, with nothing lost.
func TestWindowIsBounded(t *testing.T) {
	now := noon
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tend(t.Context())
	const n = maxParties + 10
	for i := range n {
		w := &flow.Workload{Name: strconv.Itoa(i)}
		x := tally(now, "/"+w.Name, 1, false)
		x.L7.Client.Workload = w
		if err := s.Consume(t.Context(), []flow.Record{change(flow.RecordUpdate, now, w, nil, 1, 0), x}); err != nil {
			t.Fatal(err)
		}
	}
	s.flush(t.Context(), true)
	if lost := s.Lost()[lossWorkloads]; lost == 0 {
		t.Error("what is counted under other names is not counted as such")
	}
	w := windowOf(t, s.Reader, now, now)
	sent, asked, requests := uint64(0), uint64(0), uint64(0)
	for _, x := range w.Workloads {
		sent += x.Sent
		for i, e := range x.Asked {
			asked += e.Requests
			if i > 0 {
				t.Errorf("%s has one protocol twice", x.Name)
			}
		}
	}
	for _, o := range w.Operations {
		requests += o.Requests
	}
	if w.Total.Sent != n || sent != n || asked != n || requests != n || w.Beyond == 0 {
		t.Errorf("%d sent in all, %d by workloads, %d asked, %d requests, %d beyond; want %d", w.Total.Sent, sent, asked, requests, w.Beyond, n)
	}
	if len(w.Workloads) > maxWindowWorkloads+1 || len(w.Operations) > maxWindowOperations+1 {
		t.Errorf("%d workloads, %d operations", len(w.Workloads), len(w.Operations))
	}
}

// A window that nobody waits for any more is not read.
func TestWindowStops(t *testing.T) {
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Window(ctx, noon, noon); err == nil {
		t.Error("no error")
	}
}

// A file of the first version gets what it lacks from who writes it, and is told of to
// who only reads it.
func TestFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(migrations[0] + fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = 1; ", applicationID) +
		"INSERT INTO red VALUES (1, 1, 'a', 'b', 'GET', '/', 5, 0, 0, 0, 0, x'')"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := NewReader(path); !errors.Is(err, ErrOlder) {
		t.Errorf("who only reads is told %v", err)
	}
	s, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := redOf(t, s, time.Unix(0, 0), time.Unix(600, 0)); len(got) != 1 || got[0].Requests != 5 {
		t.Errorf("got %+v", got)
	}
	if w := windowOf(t, s.Reader, time.Unix(0, 0), time.Unix(600, 0)); !w.First.IsZero() || len(w.Operations) != 0 {
		t.Errorf("got %+v", w)
	}
}

package history

import (
	"cmp"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func tally(at time.Time, route string, n uint64, failed bool) flow.Record {
	return flow.Record{Kind: flow.RecordL7, Time: at.UnixNano(), L7: &flow.L7{
		Protocol: flow.HTTP, Method: "GET", Route: route, Error: failed,
		Client: flow.Endpoint{Workload: &flow.Workload{Name: "web", Namespace: "shop"}},
		Server: flow.Endpoint{Names: []string{"api.example.com"}},
		Tally:  &flow.Tally{Status: 200, Bucket: flow.BucketOf(int64(time.Millisecond)), Count: n, Latency: n * 1e6, RequestBytes: 10 * n, ResponseBytes: 100 * n},
	}}
}

func redOf(t *testing.T, s *Store, since, until time.Time) []RED {
	t.Helper()
	out, err := s.RED(t.Context(), since, until)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b RED) int { return cmp.Compare(a.Route, b.Route) })
	return out
}

// The numbers of a minute are one row, however often it is written: before and after
// a restart, and when a tally comes late.
func TestRED(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	now := noon
	start := func() *Store {
		s, err := Open(Config{Path: path, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	consume := func(r ...flow.Record) {
		t.Helper()
		if err := s.Consume(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	consume(tally(noon, "/users/{id}", 3, false), tally(noon, "/posts", 1, false))
	s.tend(t.Context()) // notes that there is something
	now = now.Add(flushAfter)
	s.tend(t.Context())
	if n := count(t, s, "SELECT count(*) FROM red WHERE client <> ''"); n != 2 {
		t.Fatalf("%d rows after the time to write", n)
	}
	consume(tally(noon.Add(20*time.Second), "/users/{id}", 4, true))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start() // in the same minute
	consume(tally(noon.Add(30*time.Second), "/users/{id}", 5, false))
	now = noon.Add(3 * time.Minute)
	s.flush(t.Context(), true)
	if len(s.red.rows) != 0 {
		t.Errorf("%d rows of minutes that are over stay in memory", len(s.red.rows))
	}
	consume(tally(noon.Add(40*time.Second), "/users/{id}", 6, false), tally(noon.Add(3*time.Minute), "/users/{id}", 100, false))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start()
	defer s.Close()
	if n := count(t, s, "SELECT count(*) FROM red WHERE client <> ''"); n != 3 {
		t.Errorf("%d rows, want 2 of the first minute and 1 of the fourth", n)
	}
	got := redOf(t, s, noon, noon.Add(59*time.Second))
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	u := got[1]
	var latencies l7.Histogram
	latencies.Add(flow.BucketOf(int64(time.Millisecond)), 18, 18e6)
	if u.Route != "/users/{id}" || u.Client != "shop/web" || u.Server != "api.example.com" || u.Requests != 18 || u.Errors != 4 ||
		u.Sent != 180 || u.Received != 1800 || u.Latencies.Count != 18 || u.Latencies.Sum != 18e6 || u.Latencies.Quantile(0.5) != latencies.Quantile(0.5) {
		t.Errorf("got %+v", u)
	}
	if got := redOf(t, s, noon, noon.Add(time.Hour)); got[1].Requests != 118 {
		t.Errorf("%d requests in the hour, want 118", got[1].Requests)
	}
	if got := redOf(t, s, noon.Add(time.Minute), noon.Add(2*time.Minute)); len(got) != 0 {
		t.Errorf("nothing was asked for in between, and there is %+v", got)
	}
}

// More operations than there is room for are counted under another name, and that
// is counted.
func TestREDIsBounded(t *testing.T) {
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range maxOperations + 10 {
		if err := s.Consume(t.Context(), []flow.Record{tally(noon, time.Duration(i).String(), 2, false)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.red.told); n > maxOperations {
		t.Errorf("%d operations wait for their names", n)
	}
	s.flush(t.Context(), true)
	if n := s.Lost()[lossOperations]; n != 20 {
		t.Errorf("%d exchanges were counted as unnamed, want 20", n)
	}
	if n := len(s.red.rows); n != maxOperations+1 {
		t.Errorf("%d rows", n)
	}
	total := uint64(0)
	for _, r := range redOf(t, s, noon, noon) {
		total += r.Requests
	}
	if total != 2*(maxOperations+10) {
		t.Errorf("%d requests in all, want %d", total, 2*(maxOperations+10))
	}
}

func FuzzUnpackHistogram(f *testing.F) {
	var h l7.Histogram
	h.Add(200, 3, 10)
	h.Add(240, 1, 10)
	f.Add(packHistogram(&h))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h l7.Histogram
		if unpackHistogram(&h, 1, b) != nil {
			return
		}
		var again l7.Histogram
		if err := unpackHistogram(&again, 1, packHistogram(&h)); err != nil || again.Quantile(0.5) != h.Quantile(0.5) {
			t.Errorf("%+v became %+v: %v", h, again, err)
		}
	})
}

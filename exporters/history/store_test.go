package history_test

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// shapes is a record of each kind that is kept, with hostile text.
func shapes() []flow.Record {
	end := record(1)
	end.Kind, end.Flow.End, end.Flow.Ended = flow.RecordEnd, flow.EndClosed, at(1)
	end.Flow.Sent = flow.Counters{Packets: 9, Payload: 1200, Wire: 1700}
	drop := record(2)
	drop.Kind, drop.Verdict = flow.RecordDrop, flow.VerdictDropped
	drop.Drop = &flow.Drop{Protocol: flow.TCP, Source: drop.Flow.Client.Addr, Destination: drop.Flow.Server.Addr, Reason: "NETFILTER_DROP", Packets: 3}
	hostile := record(3)
	hostile.Flow.Client.Workload = workload("a\nb", "\x1b[2J\xff\x00")
	ask := record(4)
	exchange := flow.Record{Kind: flow.RecordL7, Time: at(4), Verdict: flow.VerdictForwarded, L7: &flow.L7{
		Protocol: flow.HTTP, Client: ask.Flow.Client, Server: ask.Flow.Server, Seen: flow.RoleClient, Method: "GET", Route: "/users/{id}",
		Exchange: &flow.Exchange{
			Counted: flow.Counted{Protocol: flow.HTTP, Role: flow.RoleClient, Remote: ask.Flow.Server.Addr.Addr(), Port: 5432},
			Status:  200, Transport: flow.TCP, Start: at(3), Latency: 1e6, Why: flow.WhyNew, HTTP: &flow.HTTPExchange{Method: "GET", Path: "/users/17", Version: 11},
		},
	}}
	return []flow.Record{record(0), end, drop, hostile, exchange}
}

// What comes out is what the Observer would have served, to the byte: from memory,
// from the disk, and after a restart.
func TestGivesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := openAt(t, path, nil)
	update := record(9)
	update.Kind = flow.RecordUpdate
	consume(t, s, append(shapes(), update))
	conv := convert.New("node", "1.0")
	var want []*flowpb.Flow
	for _, r := range shapes() {
		f := conv.Flow(&r)
		conv.Extend(f, &r)
		want = append(want, f)
	}
	check := func(when string) {
		t.Helper()
		var got []*flowpb.Flow
		if err := s.Flows(t.Context(), always(), func(_ hubble.PastPlace, f *flowpb.Flow) bool { got = append(got, f); return true }); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, func(a, b *flowpb.Flow) bool { return proto.Equal(a, b) }) {
			t.Errorf("%s: got %v\nwant %v", when, got, want)
		}
	}
	check("in memory")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want that of a secret: %v", info.Mode(), err)
	}
	s = openAt(t, path, nil)
	defer func() { s.Close() }()
	check("after a restart")
	if len(s.Lost()) != 0 {
		t.Errorf("lost %v", s.Lost())
	}
}

func TestQuery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	earlier := openAt(t, path, nil)
	consume(t, earlier, records(1, 300))
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, nil)
	defer s.Close()
	consume(t, s, records(301, 812))
	s.Flush(t.Context())
	consume(t, s, records(813, 1000)) // and what waits
	for _, tt := range []struct {
		name   string
		change func(*hubble.PastQuery)
		want   []int
	}{
		{"all", func(*hubble.PastQuery) {}, span(1, 1000)},
		{"since", func(q *hubble.PastQuery) { q.Since = at(990) }, span(990, 1000)},
		{"until", func(q *hubble.PastQuery) { q.Until = at(10) }, span(1, 10)},
		{"between", func(q *hubble.PastQuery) { q.Since, q.Until = at(250), at(600) }, span(250, 600)},
		{"nothing of this run", func(q *hubble.PastQuery) { q.Present = -1 << 63 }, span(1, 300)},
		{"what left the ring", func(q *hubble.PastQuery) { q.Present = at(555) }, span(1, 555)},
		{"before all", func(q *hubble.PastQuery) { q.Until = at(0) }, nil},
		{"from a place", func(q *hubble.PastQuery) { q.From = hubble.PastPlace{Block: 2, Index: 4} }, span(305, 1000)},
		{"from a place that is not written", func(q *hubble.PastQuery) { q.From = hubble.PastPlace{Block: 3, Index: 2} }, span(815, 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := always()
			tt.change(&q)
			if got := ids(t, s, q); !slices.Equal(got, tt.want) {
				t.Errorf("got %s, want %s", short(got), short(tt.want))
			}
			if q.From != (hubble.PastPlace{}) {
				return
			}
			q.Newest = true
			slices.Reverse(tt.want)
			if got := ids(t, s, q); !slices.Equal(got, tt.want) {
				t.Errorf("newest first: got %s, want %s", short(got), short(tt.want))
			}
		})
	}
	n := 0
	if err := s.Flows(t.Context(), always(), func(hubble.PastPlace, *flowpb.Flow) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("%d flows after the third was enough: %v", n, err)
	}
	extent, err := s.Extent(t.Context())
	if err != nil || extent.Flows != 300+512 || !extent.First.Equal(time.Unix(0, at(1))) || !extent.Last.Equal(time.Unix(0, at(812))) || extent.Bytes <= 0 {
		t.Errorf("extent %+v, %v", extent, err)
	}
}

// A process that is killed leaves what was committed.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, nil)
	consume(t, s, records(1, 512))
	s.Flush(t.Context())
	consume(t, s, records(513, 600))
	for _, suffix := range []string{"", "-wal"} { // as a killed process leaves it
		copyFile(t, s.Path()+suffix, filepath.Join(dir, "history.db"+suffix))
	}
	left := openAt(t, filepath.Join(dir, "history.db"), nil)
	defer left.Close()
	if got := ids(t, left, always()); !slices.Equal(got, span(1, 512)) {
		t.Errorf("got %s, want what was written", short(got))
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A file that is no history is set aside, and said; one of a newer weir is refused.
func TestDamaged(t *testing.T) {
	foreign := func(t *testing.T, path, statement string) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
	}{
		{"no database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"another database", func(t *testing.T, path string) { foreign(t, path, "CREATE TABLE blocks (x)") }},
		{"torn", func(t *testing.T, path string) {
			s := openAt(t, path, nil)
			consume(t, s, records(1, 3000))
			s.Close()
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(make([]byte, 8192), 100); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.db")
			tt.make(t, path)
			was, _ := os.ReadFile(path)
			s := openAt(t, path, nil)
			defer s.Close()
			consume(t, s, records(1, 300))
			if got := ids(t, s, always()); !slices.Equal(got, span(1, 300)) {
				t.Errorf("got %s", short(got))
			}
			// SQLite may have changed the head of a database while it looked at it.
			if aside, err := os.ReadFile(path + ".damaged"); err != nil || len(aside) != len(was) || string(aside[100:]) != string(was[100:]) {
				t.Errorf("the damaged file is not kept as it was: %v", err)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "history.db")
	s := openAt(t, path, nil)
	s.Close()
	foreign(t, path, "PRAGMA user_version = 99")
	if _, err := history.Open(history.Config{Path: path}); !errors.Is(err, history.ErrNewer) {
		t.Errorf("a newer file: %v", err)
	}
}

// A block whose bytes have changed costs its flows, which are counted, and no more.
func TestUnreadableBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := openAt(t, path, nil)
	for i := range 3 {
		consume(t, s, records(256*i+1, 256*i+256))
		s.Flush(t.Context())
	}
	s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE blocks SET body = substr(body, 1, length(body) - 1) || x'00' WHERE id = 2"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s = openAt(t, path, nil)
	defer s.Close()
	if got := ids(t, s, always()); !slices.Equal(got, append(span(1, 256), span(513, 768)...)) {
		t.Errorf("got %s", short(got))
	}
	if n := s.Lost()[flow.Loss{Stage: "history", Reason: "unreadable"}]; n != 256 {
		t.Errorf("%d flows counted as unreadable, want 256", n)
	}
}

// A file that somebody holds costs what is to be written meanwhile, which is
// counted; what comes after is kept again.
func TestLocked(t *testing.T) {
	s := newStore(t, nil)
	consume(t, s, records(1, 10))
	db, err := sql.Open("sqlite", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err == nil {
		_, err = tx.Exec("DELETE FROM red")
	}
	if err != nil {
		t.Fatal(err)
	}
	consume(t, s, records(11, 256))
	s.Flush(t.Context())
	if n := s.Lost()[flow.Loss{Stage: "history", Reason: "write_failed"}]; n != 256 {
		t.Errorf("%d flows counted as lost, want 256", n)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	consume(t, s, records(257, 512))
	if got := ids(t, s, always()); !slices.Equal(got, span(257, 512)) {
		t.Errorf("afterwards %s", short(got))
	}
}

func TestNoSuchHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	if _, err := history.NewReader(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a reader of no file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.NewReader(path); err == nil {
		t.Error("an empty file was read as a history")
	}
	if _, err := history.Open(history.Config{Path: filepath.Join(path, "below")}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a path that cannot be: %v", err)
	}
}

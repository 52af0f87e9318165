package history_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// kept are the records of a batch that make history.
func kept(batch []flow.Record) (out []flow.Record) {
	for i, r := range batch {
		next := slices.IndexFunc(batch[i+1:], func(later flow.Record) bool {
			return later.Flow.ID == r.Flow.ID && (later.Kind == flow.RecordStart && later.More == 0 || later.Kind == flow.RecordEnd)
		})
		spare := r.Kind == flow.RecordStart && r.More == 0 && next >= 0 && batch[i+1+next].Kind == flow.RecordEnd
		if r.Kind != flow.RecordUpdate && (r.L7 == nil || r.L7.Tally == nil) && !spare {
			out = append(out, r)
		}
	}
	return out
}

// Whatever is consumed, what is asked for is what the Observer would have served when
// it came: while it waits, out of the file, and by another weir on a host of another
// name.
func TestGivesBackAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "history")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		batch := rapid.SliceOfN(recordtest.Any(), 0, 12).Draw(t, "records")
		for i := range batch {
			batch[i].Flow.ID %= 4 // so that ends meet their starts
		}
		conv := convert.New("node", "1.0")
		var want []*flowpb.Flow
		for _, r := range kept(batch) {
			f := conv.Flow(&r)
			conv.Extend(f, &r)
			want = append(want, f)
		}
		cfg := history.Config{Path: filepath.Join(dir, "history.db"), NodeName: "node", Version: "1.0", Now: func() time.Time { return epoch }}
		s, err := history.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			var got []*flowpb.Flow
			if err := s.Flows(t.Context(), always(), func(_ hubble.PastPlace, f *flowpb.Flow) bool { got = append(got, f); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, func(a, b *flowpb.Flow) bool { return proto.Equal(a, b) }) {
				i := 0
				for i < min(len(got), len(want)) && proto.Equal(got[i], want[i]) {
					i++
				}
				t.Fatalf("%s: %d flows, want %d; the first that differs is %d: got %v\nwant %v", when, len(got), len(want), i, got[i:min(i+1, len(got))], want[i:min(i+1, len(want))])
			}
		}
		if err := s.Consume(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		check("in memory")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		cfg.NodeName, cfg.Version = "another", "2.0"
		if s, err = history.Open(cfg); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		check("after a restart")
		if lost := s.Lost(); lost[flow.Loss{Stage: "history", Reason: "unreadable"}]+lost[flow.Loss{Stage: "history", Reason: "write_failed"}] > 0 {
			t.Fatalf("lost %v", lost)
		}
	})
}

// Of a file that a weir made which kept flows in another form, the numbers go on; its
// flows go, which is said and counted.
func TestOlderFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	history.MakeOlder(t, path, "INSERT INTO blocks VALUES (7, 1, 2, 200, x'00'), (8, 3, 4, 56, x'00')", "INSERT INTO keys VALUES ('v:1', 7)",
		"INSERT INTO traffic VALUES (29671200, 'shop/web', 1, 5, 0, 0, 0, 100, 200)", "INSERT INTO watched VALUES (29671200, 0)")
	if _, err := history.NewReader(path); err == nil {
		t.Error("who only reads reads an older file")
	}
	var log bytes.Buffer
	s := openAt(t, path, func(c *history.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	defer s.Close()
	if n := s.Lost()[flow.Loss{Stage: "history", Reason: "unreadable"}]; n != 256 || !bytes.Contains(log.Bytes(), []byte("flows=256")) {
		t.Errorf("%d flows are counted, and logged is %q", n, log.String())
	}
	w, err := s.Window(t.Context(), time.Unix(29671200*60, 0), time.Unix(29671201*60, 0))
	if err != nil || len(w.Workloads) != 1 || w.Workloads[0].Opened != 5 {
		t.Errorf("of the numbers there is %+v: %v", w, err)
	}
	consume(t, s, records(1, 300))
	s.Flush(t.Context())
	if got := ids(t, s, always()); !slices.Equal(got, span(1, 300)) {
		t.Errorf("got %s", short(got))
	}
}

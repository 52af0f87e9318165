package history_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
)

// ended is the end of record id's connection, at a later time.
func ended(id, when int) flow.Record {
	r := record(id)
	r.Kind, r.Time = flow.RecordEnd, at(when)
	r.Flow.End, r.Flow.Ended = flow.EndClosed, at(when)
	return r
}

// A connection that ended before its start was written is told by its end alone; one
// that lives on is in the file by its start, whatever becomes of weir.
func TestStartsOfWhatEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := openAt(t, path, nil)
	consume(t, s, records(1, 600))
	consume(t, s, []flow.Record{ended(7, 601), ended(600, 602), ended(300, 603)})
	want := slices.DeleteFunc(span(1, 603), func(i int) bool { return i == 7 || i == 300 || i == 600 })
	check := func(when string) {
		t.Helper()
		if got := ids(t, s, always()); !slices.Equal(got, want) {
			t.Errorf("%s: got %s, want %s", when, short(got), short(want))
		}
		back := always()
		back.Newest = true
		got := ids(t, s, back)
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s, newest first: got %s, want %s", when, short(got), short(want))
		}
	}
	check("while they wait")
	before := places(t, s)
	s.Flush(t.Context())
	check("written")
	if after := places(t, s); !slices.Equal(after, before) {
		t.Error("flows changed their places when they were written")
	}
	consume(t, s, []flow.Record{ended(8, 604), ended(9, 605)}) // their starts are in the file
	want = append(want, 604, 605)
	check("later")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, nil)
	defer func() { s.Close() }()
	check("after a restart")
	if n := len(s.Lost()); n != 0 {
		t.Errorf("lost %v", s.Lost())
	}
}

// More than may wait is written without a wait, and nothing of it is missing.
func TestPendingIsBounded(t *testing.T) {
	s := newStore(t, nil)
	const many = 20_000
	consume(t, s, records(1, many))
	if e, err := s.Extent(t.Context()); err != nil || e.Flows < many-history.MaxPending {
		t.Errorf("%d of %d flows are written: %v", e.Flows, many, err)
	}
	if got := ids(t, s, always()); !slices.Equal(got, span(1, many)) {
		t.Errorf("got %s", short(got))
	}
}

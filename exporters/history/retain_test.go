package history

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// few is so many records that a block takes some more.
const few = 256

// noisy is a record that compresses badly: what it holds differs from one to the next.
func noisy(at time.Time, n int) flow.Record {
	r := flow.Record{Kind: flow.RecordStart, Time: at.UnixNano() + int64(n), Flow: flow.Flow{ID: uint64(n) * 0x9e3779b97f4a7c15, Protocol: flow.TCP}}
	for i := range uint64(40) {
		r.Flow.Client.Names = append(r.Flow.Client.Names, string(rune('a'+i%26))+time.Duration((uint64(n)+i)*0xbf58476d1ce4e5b9>>1).String())
	}
	return r
}

func fill(t *testing.T, s *Store, at time.Time, n int) {
	t.Helper()
	batch := make([]flow.Record, n)
	for i := range batch {
		batch[i] = noisy(at, i)
	}
	if err := s.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	s.Flush(t.Context())
}

func count(t *testing.T, s *Store, query string) (n int64) {
	t.Helper()
	if err := s.read.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Age: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 60 {
		fill(t, s, now, few)
	}
	now = now.Add(30 * time.Minute)
	fill(t, s, now, few)
	fill(t, s, now, few)
	before := count(t, s, "SELECT page_count FROM pragma_page_count")
	now = now.Add(31 * time.Minute)
	if err := s.retain(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT count(*) FROM blocks"); n != 2 {
		t.Errorf("%d blocks are left, want the 2 that are young", n)
	}
	if n := count(t, s, "SELECT count(*) FROM keys WHERE block NOT IN (SELECT id FROM blocks)"); n != 0 {
		t.Errorf("%d keys of blocks that are gone", n)
	}
	if after := count(t, s, "SELECT page_count FROM pragma_page_count"); after >= before/2 {
		t.Errorf("the file has %d pages, of %d before: the room was not given back", after, before)
	}
}

// Whatever comes, the file and its log stay below the bound, and the newest is there.
func TestSize(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	path := filepath.Join(t.TempDir(), "h")
	s, err := Open(Config{Path: path, Size: MinSize, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	written := int64(0)
	for i := 0; written < MinSize*5/4; i++ {
		fill(t, s, now, 4*few)
		now = now.Add(time.Second)
		if i%4 == 0 {
			s.tend(t.Context())
		}
		size := int64(0)
		for _, suffix := range []string{"", "-wal"} {
			if info, err := os.Stat(path + suffix); err == nil {
				size += info.Size()
			}
		}
		if size > MinSize+walLimit {
			t.Fatalf("%d bytes, want at most %d", size, MinSize+walLimit)
		}
		if err := s.read.QueryRow("SELECT coalesce(sum(length(body)) / count(*) * max(id), 0) FROM blocks").Scan(&written); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Lost()); n != 0 {
		t.Errorf("lost %v", s.Lost())
	}
	if first, last := count(t, s, "SELECT min(id) FROM blocks"), count(t, s, "SELECT max(id) FROM blocks"); first == 1 || last != s.last {
		t.Errorf("blocks %d to %d of %d: want the newest", first, last, s.last)
	}
}

// What finds no room before the retention has its turn gets that of older blocks, of
// however many.
func TestRoomWithinTheBound(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.db.Exec("PRAGMA max_page_count = 1024"); err != nil {
		t.Fatal(err)
	}
	for range 400 {
		fill(t, s, now, 1)
		now = now.Add(time.Second)
	}
	for first := int64(1); first <= 400; first = count(t, s, "SELECT min(id) FROM blocks") {
		fill(t, s, now, 8*few)
		now = now.Add(time.Second)
	}
	if n := len(s.Lost()); n != 0 {
		t.Errorf("lost %v", s.Lost())
	}
}

// A full disk is counted, and costs nobody but the history.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts a small file system, which needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("mount:", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s, err := Open(Config{Path: filepath.Join(dir, "h")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.db.Exec("CREATE TABLE gone (flows); CREATE TRIGGER going AFTER DELETE ON blocks BEGIN INSERT INTO gone VALUES (old.flows); END"); err != nil {
		t.Fatal(err)
	}
	for i := range 40 { // more at a time than there may be room for, beside little
		fill(t, s, time.Now(), []int{few, 8 * few, 1, 2 * few}[i%4])
	}
	const all = 10 * (few + 8*few + 1 + 2*few)
	kept, gone := count(t, s, "SELECT sum(flows) FROM blocks"), count(t, s, "SELECT coalesce(sum(flows), 0) FROM gone")
	lost := s.Lost()[lossWrite]
	t.Logf("kept %d flows, %d gave way, lost %d", kept, gone, lost)
	if kept == 0 {
		t.Error("nothing is kept")
	}
	if uint64(kept+gone)+lost != all {
		t.Errorf("that does not make %d", all)
	}
}

// Retention that is told to stop stops.
func TestRetainStops(t *testing.T) {
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.retain(ctx, time.Now()); err == nil {
		t.Error("no error")
	}
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

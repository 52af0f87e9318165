package jsonl

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed79351815/weir/collector/flow"
)

// many are records of flows between the same workloads.
func many(n int) (batch []flow.Record) {
	for i := range n {
		r := record(uint64(i), flow.RecordEnd)
		r.Flow.End, r.Flow.Client.Workload = flow.EndClosed, client
		batch = append(batch, r)
	}
	return batch
}

var client = &flow.Workload{Name: "web", Runtime: flow.RuntimeDocker}

// counted is how many flows each line of a file stands for.
func counted(t *testing.T, path string) (out []uint32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var res observerpb.GetFlowsResponse
		if err := protojson.Unmarshal(scan.Bytes(), &res); err != nil {
			t.Fatal(err)
		}
		out = append(out, max(res.GetFlow().GetAggregate().GetUnknownDirectionFlowCount(), 1))
	}
	return out
}

// Beyond the budget alike flows share a line, which comes although no batch does.
func TestMerges(t *testing.T) {
	var later atomic.Int64
	begun := time.Now()
	l := newLog(t, Config{Budget: 3, Now: func() time.Time { return begun.Add(time.Duration(later.Load())) }})
	if err := l.Consume(t.Context(), many(50)); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, l.cfg.Path); !slices.Equal(got, []uint32{1, 1, 1, 1}) {
		t.Fatalf("at once lines of %v flows", got)
	}
	later.Store(int64(time.Minute))
	for late := time.Now().Add(20 * time.Second); len(counted(t, l.cfg.Path)) < 5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("what waited was not written")
		}
	}
	if got := counted(t, l.cfg.Path); !slices.Equal(got, []uint32{1, 1, 1, 1, 46}) {
		t.Errorf("lines of %v flows", got)
	}
	if err := l.Consume(t.Context(), many(6)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, l.cfg.Path); !slices.Equal(got[5:], []uint32{1, 1, 1, 1, 2}) {
		t.Errorf("at the end lines of %v flows", got[5:])
	}
}

// What waited and finds no room is counted: Consume has said that all is well.
func TestMergedOnFullDisk(t *testing.T) {
	dir := smallDisk(t)
	l := newLog(t, Config{Path: filepath.Join(dir, "flows.json"), Budget: 3})
	if err := l.Consume(t.Context(), many(50)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	// The rest of the file's last page is filled, too.
	if err := unix.Fallocate(int(l.file.Fd()), 0, 0, 4096); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		err = l.Consume(t.Context(), []flow.Record{record(1, flow.RecordDrop)})
	}
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("closed with %v", err)
	}
	if got := l.Lost()[flow.Loss{Stage: "flow_log", Reason: "write_failed"}]; got != 46 {
		t.Errorf("%d counted as lost, want 46", got)
	}
}

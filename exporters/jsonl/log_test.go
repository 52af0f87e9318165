package jsonl

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed79351815/weir/collector/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record(id uint64, kind flow.RecordKind) flow.Record {
	return flow.Record{Kind: kind, Time: int64(id), Verdict: flow.VerdictForwarded, Flow: flow.Flow{
		ID: id, Protocol: flow.TCP, Start: int64(id),
		Client: flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.1:40000"), Workload: &flow.Workload{Name: "web\x1b[2J\n"}},
		Server: flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:80")},
	}}
}

func write(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	var batch []flow.Record
	for id := first; id <= last; id++ {
		batch = append(batch, record(id, flow.RecordStart))
	}
	if err := l.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// lines are the flows' numbers in a file; every line must be what it should be.
func lines(t *testing.T, path string) (out []uint64) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, suffix) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err == nil {
			raw, err = io.ReadAll(z)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	scan := bufio.NewScanner(bytes.NewReader(raw))
	for scan.Scan() {
		var res observerpb.GetFlowsResponse
		if err := protojson.Unmarshal(scan.Bytes(), &res); err != nil {
			t.Fatalf("%s: %q: %v", path, scan.Text(), err)
		}
		out = append(out, uint64(res.GetFlow().GetTime().AsTime().UnixNano()))
	}
	return out
}

func newLog(t *testing.T, cfg Config) *Log {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "flows.json")
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func expect(t *testing.T, path string, want ...uint64) {
	t.Helper()
	if got := lines(t, path); !slices.Equal(got, want) {
		t.Errorf("%s has flows %v, want %v", filepath.Base(path), got, want)
	}
}

func TestLines(t *testing.T) {
	l := newLog(t, Config{NodeName: "node"})
	tally := flow.Record{Kind: flow.RecordL7, L7: &flow.L7{Tally: &flow.Tally{}}}
	batch := []flow.Record{record(1, flow.RecordStart), record(2, flow.RecordUpdate), tally, {Kind: flow.RecordL7}, record(3, flow.RecordEnd)}
	if err := l.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	expect(t, l.cfg.Path, 1, 3)
	raw, _ := os.ReadFile(l.cfg.Path)
	if bytes.ContainsRune(raw, 0x1b) {
		t.Error("an escape sequence reached the file")
	}
	var line struct {
		Node string `json:"node_name"`
		Flow struct {
			Extensions struct{ Value map[string]any }
		}
	}
	if err := json.Unmarshal(raw[:bytes.IndexByte(raw, '\n')], &line); err != nil || line.Node != "node" || line.Flow.Extensions.Value["flow_id"] != 1.0 {
		t.Errorf("%+v, %v", line, err)
	}
}

func TestRotation(t *testing.T) {
	probe := newLog(t, Config{})
	write(t, probe, 1, 1)
	one := probe.file.size
	for _, zip := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress=%v", zip), func(t *testing.T) {
			now := time.Now()
			l := newLog(t, Config{Size: 3 * one, Keep: 2, Age: time.Hour, Compress: zip, Now: func() time.Time { return now }})
			end := ""
			if zip {
				end = suffix
			}
			name := func(n int) string { return l.numbered(n) + end }
			write(t, l, 1, 2)
			write(t, l, 3, 3)
			write(t, l, 4, 4) // no room
			l.zipped.Wait()
			expect(t, l.cfg.Path, 4)
			expect(t, name(1), 1, 2, 3)
			now = now.Add(2 * time.Hour)
			write(t, l, 5, 5) // too old
			l.zipped.Wait()
			expect(t, l.cfg.Path, 5)
			expect(t, name(1), 4)
			expect(t, name(2), 1, 2, 3)
			write(t, l, 6, 9) // more than a file may have: a batch stays together
			write(t, l, 10, 10)
			l.zipped.Wait()
			expect(t, l.cfg.Path, 10)
			expect(t, name(1), 6, 7, 8, 9)
			expect(t, name(2), 5)
			if files, _ := os.ReadDir(filepath.Dir(l.cfg.Path)); len(files) != 3 {
				t.Errorf("files %v, want 3", files)
			}
		})
	}
}

func TestKeepNone(t *testing.T) {
	l := newLog(t, Config{Size: 1})
	write(t, l, 1, 1)
	write(t, l, 2, 2)
	expect(t, l.cfg.Path, 2)
	if files, _ := os.ReadDir(filepath.Dir(l.cfg.Path)); len(files) != 1 {
		t.Errorf("files %v, want 1", files)
	}
}

// Somebody else rotates: logrotate renames, and tells.
func TestReopen(t *testing.T) {
	l := newLog(t, Config{})
	write(t, l, 1, 1)
	moved := l.cfg.Path + "-20260601"
	if err := os.Rename(l.cfg.Path, moved); err != nil {
		t.Fatal(err)
	}
	write(t, l, 2, 2)
	l.Reopen()
	write(t, l, 3, 3)
	expect(t, moved, 1, 2)
	expect(t, l.cfg.Path, 3)
}

func TestAppends(t *testing.T) {
	l := newLog(t, Config{})
	write(t, l, 1, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, newLog(t, l.cfg), 2, 2)
	expect(t, l.cfg.Path, 1, 2)
}

func TestRefuses(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, t.TempDir(), filepath.Join(pipe, "x"), filepath.Join(t.TempDir(), "none", "x")} {
		if l, err := Open(Config{Path: path}); err == nil {
			l.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

// smallDisk is a directory with room for 64 KiB.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounts a small file system, which needs root")
	}
	dir = t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("mount:", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// A full disk gives an error for the batch, leaves no half line, and is over once
// there is room.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	l := newLog(t, Config{Path: filepath.Join(dir, "flows.json")})
	var failed error
	id := uint64(0)
	for failed == nil && id < 10_000 {
		id++
		failed = l.Consume(context.Background(), []flow.Record{record(id, flow.RecordStart)})
	}
	if !errors.Is(failed, syscall.ENOSPC) {
		t.Fatalf("after %d flows: %v", id, failed)
	}
	if got := lines(t, l.cfg.Path); uint64(len(got)) != id-1 {
		t.Errorf("%d lines, want %d", len(got), id-1)
	}
	if err := os.Truncate(l.cfg.Path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, l, id, id)
	expect(t, l.cfg.Path, id)
	l.Close()
}

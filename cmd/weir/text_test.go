package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/cmd/weir/control"
)

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		grouped(0): "0", grouped(999): "999", grouped(1000): "1,000", grouped(-1234567): "-1,234,567",
		grouped(uint64(1 << 63)): "9,223,372,036,854,775,808",
		size(0):                  "0 B", size(1023): "1023 B", size(1536): "1.5 KiB", size(uint64(5 << 30)): "5.0 GiB", size(1e18): "909494.7 TiB",
		span(59 * time.Second): "59s", span(3*time.Minute + 2*time.Second): "3m02s", span(4*time.Hour + 7*time.Minute): "4h07m",
		span(75 * time.Hour): "3d3h",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {&usageError{err: errors.New("x")}, 2}, {fmt.Errorf("y: %w", &usageError{err: errors.New("x")}), 2},
		{errFindings, 3}, {fmt.Errorf("print: %w", errPipeClosed), 0}, {context.Canceled, 0}, {context.DeadlineExceeded, 1},
	} {
		if got := exitStatus(tc.err); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestQuietPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if _, err := (quietPipe{w}).Write([]byte("x")); !errors.Is(err, errPipeClosed) {
		t.Errorf("got %v", err)
	}
}

func TestStatusText(t *testing.T) {
	a, out, _ := testApp(nil)
	start := time.Unix(1000, 0)
	s := &control.Status{
		Version: "1.0", PID: 42, Ready: true, Started: start, Time: start.Add(192 * time.Second), Memory: 50 << 20,
		Flows:    control.Flows{Table: 1300, TableMax: 65536, Live: 1204, Kept: 20331, KeptMax: 65536, PerSecond: 12.34, Bytes: 4.5e6},
		Pipeline: control.Pipeline{Events: 1234567, Records: 2345},
		Kernel:   control.Kernel{Programs: 11, Ring: 4 << 20, Unread: 8, CPUs: []control.CPU{{Produced: 10, Delivered: 6, Lost: 3}}, Missing: []string{"drop: too\x1bold"}},
		Lost:     []control.Loss{{Stage: "kernel", Reason: "ring_full", Count: 3}, {Stage: "prom", Reason: "queue_full", Count: 1000}},
		Runtimes: []control.Runtime{{Name: "docker", Socket: "/run/docker.sock", Connected: true}, {Name: "cri", Error: "denied"}, {Name: "podman"}},
		Policies: control.Policies{Enforced: 1, Audited: 2, Denied: 5, Would: 6},
		Listen:   control.Listen{Socket: "/s", Hubble: "unix:///h", Metrics: "127.0.0.1:9934"},
	}
	if err := a.printStatus(s, "text"); err != nil {
		t.Fatal(err)
	}
	want := `daemon     weir 1.0, process 42, up 3m12s, 50.0 MiB in memory, ready
flows      1,204 live; table 1,300 of 65,536; newest 20,331 of 65,536 kept
rates      12.3 flows/s, 4.3 MiB/s
events     1,234,567 in, 2,345 records made, 0 flows evicted
kernel     11 programs; 10 events produced = 6 delivered + 3 lost + 1 waiting
  missing  drop: too\x1bold
policies   1 enforced, 2 audited; 5 denied, 6 would have been
lost       3 kernel/ring_full, 1,000 prom/queue_full
runtime    docker /run/docker.sock: connected
runtime    cri: denied
listens    /s
  hubble   unix:///h
  metrics  http://127.0.0.1:9934/metrics
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	s.Kernel.Unread = 0
	if line := kernelLine(s.Kernel); !strings.HasSuffix(line, "+ 1 unaccounted") {
		t.Errorf("got %q", line)
	}
}

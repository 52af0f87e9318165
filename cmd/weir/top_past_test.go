package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/ui"
)

// askingDaemon serves a daemon's methods of the history, or none, and gives what top
// asks them by.
func askingDaemon(t *testing.T, methods map[string]control.Method) func(context.Context, time.Duration) (*ui.Past, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.Creds(control.Credentials()))
	if methods != nil {
		control.RegisterMethods(srv, control.HistoryService, methods)
	}
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
	cc, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return daemonPast(cc)
}

// A window is the same whether the daemon is asked or its file is read, also after
// another one began to write it.
func TestTopsPast(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "history.db")
	now := time.Now()
	start := flow.Record{Kind: flow.RecordStart, Time: now.UnixNano()}
	start.Flow.Client.Workload = &flow.Workload{Namespace: "shop", Name: "web"}
	start.Delta.Sent.Payload = 100
	seen := counted(now, "web", "api", "/users/{id}", 30, true)
	seen.L7.Both = true
	for _, batch := range [][]flow.Record{{start, seen}, {start}} {
		s, err := history.Open(history.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Consume(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // it notes the minute after a second
		s.Run(ctx)
		cancel()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	store, err := history.Open(history.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	k := &kept{history: store, windows: make(chan struct{}, 1)}
	a := &app{cfg: config{stateDir: dir}}
	for name, past := range map[string]func(context.Context, time.Duration) (*ui.Past, error){"daemon": askingDaemon(t, k.methods()), "file": a.keptPast} {
		p, err := past(t.Context(), time.Hour)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Total.Opened != 2 || p.Total.Sent != 200 || len(p.Operations) != 1 || p.Operations[0].Requests != 30 || p.Operations[0].P99 == 0 || p.First.IsZero() {
			t.Errorf("%s: %+v", name, p)
		}
		for _, w := range p.Workloads {
			if w.Name == "api" && (len(w.Served) != 1 || w.Served[0].Errors != 30) || w.Name == "shop/web" && (w.Opened != 2 || len(w.Asked) != 1) {
				t.Errorf("%s: %+v", name, w)
			}
		}
		s := &shown{view: aggregate.NewView(aggregate.ViewConfig{}), health: func() collector.Health { return collector.Health{} }, past: past}
		text := string(plainWindow(t.Context(), s, time.Hour))
		if !strings.HasPrefix(text, "window 1h00m: ") || !strings.Contains(text, ", only since ") || !strings.Contains(text, " 2 opened ") ||
			!strings.Contains(text, "shop/web") || !strings.Contains(text, "/users/{id}") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// Who cannot be told of the past is told why.
func TestTopWithoutPast(t *testing.T) {
	off := &kept{without: errNoHistory, windows: make(chan struct{}, 1)}
	none := &app{cfg: config{stateDir: t.TempDir()}}
	hostile := map[string]control.Method{"Window": control.On(false, func(context.Context, windowRequest) (any, error) { return nil, errors.New("\x1b[2J") })}
	odd := map[string]control.Method{"Window": control.On(false, func(context.Context, windowRequest) (any, error) { return "text", nil })}
	for want, past := range map[string]func(context.Context, time.Duration) (*ui.Past, error){
		"--history 0":                     askingDaemon(t, off.methods()),
		"older than this weir":            askingDaemon(t, nil),
		`\x1b`:                            askingDaemon(t, hostile),
		"daemon's answer":                 askingDaemon(t, odd),
		"no daemon runs; no history is k": none.keptPast,
	} {
		if p, err := past(t.Context(), time.Hour); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v; want %q", p, err, want)
		}
	}
	k := &kept{history: new(history.Store), windows: make(chan struct{}, 1)}
	for _, d := range []time.Duration{0, -1, maxWindow + 1} {
		if _, err := k.window(t.Context(), windowRequest{d}); err == nil {
			t.Errorf("a window of %v is given", d)
		}
	}
	// One window is read at a time, and who waits may leave.
	k.windows <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.window(ctx, windowRequest{time.Hour}); err == nil {
		t.Error("two windows are read at once")
	}
}

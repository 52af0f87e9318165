package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
)

// counted is n exchanges of a client with a server.
func counted(at time.Time, client, server, route string, n uint64, failed bool) flow.Record {
	return flow.Record{Kind: flow.RecordL7, Time: at.UnixNano(), L7: &flow.L7{
		Protocol: flow.HTTP, Method: "GET", Route: route, Error: failed,
		Client: flow.Endpoint{Workload: &flow.Workload{Namespace: "shop", Name: client}}, Server: flow.Endpoint{Workload: &flow.Workload{Name: server}},
		Tally: &flow.Tally{Status: 200, Bucket: flow.BucketOf(int64(time.Millisecond)), Count: n, Latency: n * 1e6},
	}}
}

func TestHistoryCommand(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	s, err := history.Open(history.Config{Path: filepath.Join(dir, "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	batch := []flow.Record{
		counted(now, "web", "api", "/users/{id}", 30, false), counted(now, "web", "api", "/users/{id}", 2, true),
		counted(now, "job", "api", "/\x1b[2Jposts", 7, false), counted(now.Add(-3*time.Hour), "web", "old", "/", 9, false),
	}
	if err := s.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (status int, out, said string) {
		var o, e bytes.Buffer
		a := &app{out: &o, err: &e, lookup: func(string) (string, bool) { return "", false }}
		status = a.execute(t.Context(), append([]string{"history", "--state-dir", dir}, args...))
		return status, o.String(), e.String()
	}
	for _, tt := range []struct {
		args       []string
		have, miss []string
	}{
		{nil, []string{"shop/web", "GET /users/{id}", " 32 ", " 2 ", `\x1b`}, []string{"old", "\x1b", "more"}},
		{[]string{"--since", "4h"}, []string{"old"}, nil},
		{[]string{"--workload", "job"}, []string{"shop/job"}, []string{"shop/web", "more"}},
		{[]string{"--limit", "1"}, []string{"shop/web", "and 1 more operations"}, []string{"shop/job"}},
		{[]string{"--since", "4h", "--until", "2h"}, []string{"old"}, []string{"users"}},
	} {
		status, out, said := run(tt.args...)
		if status != 0 {
			t.Errorf("%v: status %d: %s", tt.args, status, said)
		}
		for _, s := range tt.have {
			if !strings.Contains(out, s) {
				t.Errorf("%v: no %q in\n%s", tt.args, s, out)
			}
		}
		for _, s := range tt.miss {
			if strings.Contains(out, s) {
				t.Errorf("%v: %q in\n%s", tt.args, s, out)
			}
		}
	}
	_, out, _ := run("-o", "json")
	var doc historyJSON
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Operations) != 2 || doc.Operations[0].Requests != 32 || doc.Operations[0].P50 <= 0 {
		t.Errorf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"--since", "soon"}, {"--since", "1h", "--until", "2h"}} {
		if status, _, said := run(args...); status != statusUsage || !strings.Contains(said, args[len(args)-2]) && !strings.Contains(said, "--until") {
			t.Errorf("%v: status %d: %s", args, status, said)
		}
	}
	dir = filepath.Join(dir, "none")
	if status, _, said := run(); status != statusFailed || !strings.Contains(said, "no history is kept at") {
		t.Errorf("status %d: %s", status, said)
	}
}

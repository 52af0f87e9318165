package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/ui"
)

func TestPolicyPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		answer, fault := ui.Policies{Lost: 1}, error(nil)
		p := policyPoll{ask: func() (ui.Policies, error) { asked++; return answer, fault }}
		for range 10 {
			if got := p.get(); got.Lost != 1 || got.Note != "" {
				t.Fatalf("%+v", got)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times in a moment", asked)
		}
		time.Sleep(policyEvery)
		fault = errors.New("nobody answers")
		if got := p.get(); asked != 2 || got.Lost != 1 || !strings.HasPrefix(got.Note, "nobody answers; these are of ") {
			t.Errorf("asked %d times, after a fault %+v", asked, got)
		}
		time.Sleep(policyEvery)
		if fault = nil; p.get().Note != "" {
			t.Error("the fault is over, and still told")
		}
		time.Sleep(policyEvery)
		if fault = errOldDaemon; p.get().Lost != 0 {
			t.Error("an old daemon tells nothing")
		}
	})
	p := policyPoll{ask: func() (ui.Policies, error) { return ui.Policies{Lost: 7}, errors.New("nobody answers") }}
	if got := p.get(); got.Lost != 0 || got.Note != "nobody answers" {
		t.Errorf("never told: %+v", got)
	}
}

// answering is a daemon that gives one answer.
type answering struct {
	grpc.ClientConnInterface
	answer any
	err    error
}

func (a answering) Invoke(_ context.Context, method string, _, reply any, _ ...grpc.CallOption) error {
	if method != "/weir.v1.Policy/Status" {
		return status.Error(codes.Unimplemented, method)
	}
	b, err := json.Marshal(a.answer)
	reply.(*wrapperspb.BytesValue).Value = b
	return errors.Join(err, a.err)
}

func TestDaemonPolicies(t *testing.T) {
	until := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := enforce.Status{Failure: "full", Lost: 3, Uncovered: []string{"eth0: busy"}, Policies: []enforce.Entry{
		{Stored: enforce.Stored{Name: "shop/web", Kind: "Guard", Mode: "enforce", Until: &until, Since: until.Add(-time.Hour), File: "web.yaml"},
			Selected: []string{"shop/a"}, Denied: 5, Audited: 6,
			Tallies: []enforce.Tally{{Rule: "deny all", Direction: "egress", Workload: "shop/a", Peer: "192.0.2.1", Protocol: "tcp", Port: 80, Denied: true, Count: 5}}},
		{Stored: enforce.Stored{Name: "db", Kind: "NetworkPolicy", Mode: "audit"}},
	}}
	got, err := daemonPolicies(t.Context(), answering{answer: s})()
	if err != nil || len(got.List) != 2 || got.Failure != "full" || got.Lost != 3 || len(got.Uncovered) != 1 || got.Note != "" || got.Foreign {
		t.Fatalf("%+v, %v", got, err)
	}
	if p := got.List[0]; p.Name != "shop/web" || p.Kind != "Guard" || p.Mode != "enforce" || !p.Until.Equal(until) || p.Since.IsZero() ||
		p.File != "web.yaml" || len(p.Said) != 1 || p.Said[0] != "denied: shop/a → 192.0.2.1 port 80/tcp, 5 times: deny all" || len(p.Selected) != 1 || p.Denied != 5 || p.Audited != 6 {
		t.Errorf("%+v", p)
	}
	if !got.List[1].Until.IsZero() {
		t.Errorf("%+v", got.List[1])
	}
	if _, err := daemonPolicies(t.Context(), answering{err: status.Error(codes.Unimplemented, "unknown service")})(); !errors.Is(err, errOldDaemon) {
		t.Errorf("an old daemon: %v", err)
	}
	if _, err := daemonPolicies(t.Context(), answering{err: status.Error(codes.Unavailable, "gone")})(); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a daemon that is gone: %v", err)
	}
	aside := enforce.Status{Foreign: true, SetAside: &enforce.SetAside{Path: "state.json.1", Reason: "not JSON"}}
	if got, err := daemonPolicies(t.Context(), answering{answer: aside})(); err != nil || !got.Foreign || !strings.Contains(got.Failure, "not JSON") {
		t.Errorf("damaged: %+v, %v", got, err)
	}
}

// Without a daemon it is said whether one left its programs at work.
func TestPinnedPolicies(t *testing.T) {
	a := &app{cfg: config{bpfFS: t.TempDir()}}
	if got, err := a.pinnedPolicies(); err != nil || got.Foreign || !strings.Contains(got.Note, "no daemon runs") {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.MkdirAll(filepath.Join(a.pinDir(), "links-1", "connect4"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := a.pinnedPolicies(); err != nil || !got.Foreign || !strings.Contains(got.Note, "are at work") {
		t.Errorf("%+v, %v", got, err)
	}
	if got := recordedPolicies(); got.Note == "" || got.Foreign {
		t.Errorf("%+v", got)
	}
}

func TestPlainPolicies(t *testing.T) {
	now := time.Unix(1_795_536_000, 0)
	s := &aggregate.Snapshot{Time: now.UnixNano(), Totals: aggregate.Totals{Denied: 1204, Audited: 9}}
	p := ui.Policies{List: []ui.Policy{
		{Name: "quiet", Kind: "Guard", Mode: "audit"},
		{Name: "shop/e\x1b[31mvil", Kind: "CiliumNetworkPolicy", Mode: "enforce", Until: now.Add(10 * time.Minute), Selected: []string{"a", "b"}, Denied: 1200},
	}, Failure: "fu\x1b[31mll", Note: "the daemon is slow"}
	by := []flow.PolicyRef{{Namespace: "shop", Name: "web"}, {Name: "all"}}
	s.Verdicts = []aggregate.VerdictRow{
		{Workload: &flow.Workload{Name: "web"}, Remote: "203.0.113.9", Protocol: flow.TCP, Port: 443, Denied: true, Count: 1200, Rate: 2.25,
			Last: now.Add(-3 * time.Second).UnixNano(), PID: 77, Comm: flow.MakeComm("curl"), By: by},
		{Workload: &flow.Workload{Name: "db"}, Peer: &flow.Workload{Name: "web"}, Ingress: true, Protocol: flow.ICMP, Port: 8, Count: 9, Rule: "deny\n\x1b[2J",
			Last: now.Add(-2 * time.Hour).UnixNano()},
		{Denied: true, Other: true, Count: 4, Last: now.UnixNano()},
	}
	got := string(plainTable(s, nil, p))
	var lines []string
	for l := range strings.SplitSeq(got, "\n") {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	for _, want := range []string{
		"2026-11-24T16:00:00Z 0 live, 0 opened (0.0/s), 0 failed, 0 dropped packets, 1,204 denied, 9 audited, 0 B/s, 0 lost",
		`the policies do not hold as they should: fu\x1b[31mll`,
		"the daemon is slow",
		"POLICY KIND MODE LEFT SELECTED DENIED AUDITED",
		`shop/e\x1b[31mvil CiliumNetworkPolicy enforce 10m00s 2 1200 0`,
		"quiet Guard audit - 0 0 0",
		"VERDICT WORKLOAD DIRECTION PEER PORT COUNT RATE LAST PROCESS POLICY RULE",
		"denied web egress 203.0.113.9 tcp/443 1200 2.2 3s curl 77 shop/web, all no rule allows it",
		`audited db ingress web icmp type 8 9 0.0 2h00m - - deny\n\x1b[2J`,
		"denied all others - - - 4 0.0 0s - - -",
	} {
		if !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\t") {
		t.Errorf("not fit for a terminal: %q", got)
	}
	for range plainRows {
		p.List, s.Verdicts = append(p.List, ui.Policy{}), append(s.Verdicts, aggregate.VerdictRow{})
	}
	if got = string(plainTable(s, nil, p)); !strings.Contains(got, "and 2 policies more\n") || !strings.Contains(got, "and 3 kinds of verdicts more\n") {
		t.Errorf("rest is not told:\n%s", got)
	}
	var b bytes.Buffer
	if plainPolicies(&b, &ui.Policies{Note: "no daemon runs"}, now); b.Len() > 0 {
		t.Errorf("nothing holds, and it is said: %s", b.String())
	}
	for want, p := range map[string]ui.Policies{
		"policies are at work that nobody": {Foreign: true},
		"no daemon runs":                   {Foreign: true, Note: "no daemon runs"},
	} {
		b.Reset()
		if plainPolicies(&b, &p, now); !strings.Contains(b.String(), want) {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

package history_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"go.uber.org/goleak"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time of record 0.
var epoch = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func at(id int) int64 { return epoch.Add(time.Duration(id) * time.Millisecond).UnixNano() }

func workload(ns, name string) *flow.Workload {
	return &flow.Workload{
		CgroupID: 4711, Cgroup: "/docker/" + name, Runtime: flow.RuntimeDocker, Name: name, Namespace: ns, Image: "nginx:1.29",
		Owner: flow.Owner{Kind: "ComposeService", Name: name}, Labels: []flow.Label{{Source: "container", Key: "tier", Value: "front"}},
	}
}

var (
	web = workload("shop", "web")
	job = workload("batch", "job-1")
)

// record is number id: a connection of web, every third one of job.
func record(id int) flow.Record {
	r := flow.Record{Kind: flow.RecordStart, Time: at(id), Verdict: flow.VerdictForwarded, Flow: flow.Flow{
		ID: uint64(id), Protocol: flow.TCP, Start: at(id), Last: at(id),
		Client: flow.Endpoint{
			Addr: netip.AddrPortFrom(netip.MustParseAddr("172.18.0.3"), uint16(40000+id%20000)), Workload: web, Seen: true, Cookie: uint64(id),
		},
		Server: flow.Endpoint{Addr: netip.MustParseAddrPort("198.51.100.7:5432"), Names: []string{"db.example.com"}},
	}}
	if id%3 == 0 {
		r.Flow.Client.Workload, r.Flow.Server.Addr = job, netip.MustParseAddrPort("198.51.100.8:80")
	}
	return r
}

func records(first, last int) (out []flow.Record) {
	for id := first; id <= last; id++ {
		out = append(out, record(id))
	}
	return out
}

func openAt(t *testing.T, path string, change func(*history.Config)) *history.Store {
	t.Helper()
	cfg := history.Config{Path: path, NodeName: "node", Version: "1.0", Now: func() time.Time { return epoch }}
	if change != nil {
		change(&cfg)
	}
	s, err := history.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t *testing.T, change func(*history.Config)) *history.Store {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "history.db"), change)
	t.Cleanup(func() { s.Close() })
	return s
}

func consume(t *testing.T, s interface {
	Consume(context.Context, []flow.Record) error
}, batch []flow.Record) {
	t.Helper()
	if err := s.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// always asks for all there is.
func always() hubble.PastQuery {
	return hubble.PastQuery{Since: -1 << 63, Until: 1<<63 - 1, Present: 1<<63 - 1}
}

// ids are the numbers of the records that q finds.
func ids(t *testing.T, s *history.Store, q hubble.PastQuery) (out []int) {
	t.Helper()
	err := s.Flows(t.Context(), q, func(_ hubble.PastPlace, f *flowpb.Flow) bool {
		out = append(out, number(f))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func number(f *flowpb.Flow) int { return int(f.GetTime().AsTime().Sub(epoch) / time.Millisecond) }

func span(first, last int) (out []int) {
	for i := first; i <= last; i++ {
		out = append(out, i)
	}
	return out
}

func short(list []int) string {
	if len(list) > 12 {
		return fmt.Sprintf("%v…%v (%d)", list[:5], list[len(list)-5:], len(list))
	}
	return fmt.Sprint(list)
}

// places are where all flows stand.
func places(t *testing.T, s *history.Store) (out []hubble.PastPlace) {
	t.Helper()
	err := s.Flows(t.Context(), always(), func(p hubble.PastPlace, _ *flowpb.Flow) bool { out = append(out, p); return true })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package bpf

import (
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
)

// Every request between two programs is counted once, by the client's socket, and
// one of them is told in full, with its path.
func TestKernelReadsHTTP(t *testing.T) {
	_, r, server, client := pair(t)
	srv := server.Play(role.Spec{Role: role.HTTPServer, Address: lab.Listen(0)})
	const count = 50
	at := srv.On(server.V4)
	port := netip.MustParseAddrPort(at).Port()
	client.Account(role.Spec{Role: role.HTTPClient, Address: at, Path: "/users/7?secret=1", Count: count, Parallel: 4})

	told := r.wait(t, "an exchange in full", 1, func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.Port == port })[0].Exchange
	if told.HTTP.Method != "GET" || told.HTTP.Path != "/users/7" || !told.HTTP.Query || told.Status != 200 || told.Role != flow.RoleClient {
		t.Errorf("told %+v, HTTP %+v", told, told.HTTP)
	}
	if told.Latency <= 0 || told.Latency > int64(5*time.Second) || told.ConnID == 0 || told.Cookie == 0 || told.Comm.String() == "" {
		t.Errorf("told %+v", told)
	}
	deadline := time.Now().Add(patience)
	for {
		var n uint64
		for _, ev := range r.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindTally && ev.Tally.Port == port }) {
			if ev.Tally.Operation != told.Operation || ev.Tally.Status != 200 || ev.Tally.Role != flow.RoleClient {
				t.Fatalf("tally %+v", ev.Tally)
			}
			n += ev.Tally.Count
		}
		if n == count {
			return
		}
		if n > count || time.Now().After(deadline) {
			t.Fatalf("%d requests were counted, %d were made", n, count)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

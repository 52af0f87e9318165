package aggregate

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// said makes a record of web asking db; n is how many exchanges it counts, 0 for
// one that is told in full.
func said(ms int, n uint64, route string, status uint16) flow.Record {
	l := &flow.L7{
		Protocol: flow.HTTP, Seen: flow.RoleClient, Both: true, Method: "GET", Route: route, Error: l7.Failed(flow.HTTP, status),
		Client: flow.Endpoint{Workload: webWorkload, Seen: true}, Server: flow.Endpoint{Workload: dbWorkload, Seen: true},
	}
	counted := flow.Counted{Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: 1, Peer: 2}
	if n > 0 {
		l.Tally = &flow.Tally{
			Counted: counted, Status: status, Bucket: flow.BucketOf(2e6), Count: n, Latency: n * 2e6, RequestBytes: 100 * n, ResponseBytes: 200 * n,
		}
	} else {
		l.Exchange = &flow.Exchange{Counted: counted, Status: status, Latency: 2e6, Why: flow.WhyNew}
	}
	return flow.Record{Kind: flow.RecordL7, Time: at(ms), Verdict: flow.VerdictForwarded, L7: l}
}

func (r *viewRig) operation(s *Snapshot, route string) OperationRow {
	r.Helper()
	for _, o := range s.Operations {
		if o.Route == route {
			return o
		}
	}
	r.Fatalf("no operation %q in %d", route, len(s.Operations))
	return OperationRow{}
}

func TestViewOperations(t *testing.T) {
	r := newViewRig(t, 0)
	for s := range 8 {
		ms := 1000 * s
		if s > 0 {
			r.after(time.Second)
		}
		r.tell(said(ms, 90, "/users", 200), said(ms, 10, "/users", 503), said(ms, 0, "/users", 503), said(ms, 0, "/users", 200), said(ms, 50, "/cart", 404))
	}
	snap := r.after(500 * time.Millisecond)
	users, cart := r.operation(snap, "/users"), r.operation(snap, "/cart")
	if users.Requests != 800 || users.Errors != 80 || users.Shown != 16 || users.RequestBytes != 80_000 || users.ResponseBytes != 160_000 {
		t.Errorf("/users: %+v", users)
	}
	if cart.Requests != 400 || cart.Errors != 0 || cart.Shown != 0 || len(cart.Examples) != 0 {
		t.Errorf("/cart: %+v", cart)
	}
	if len(users.Statuses) != 2 || users.Statuses[0] != (StatusCount{200, 720}) || users.Statuses[1] != (StatusCount{503, 80}) {
		t.Errorf("statuses %+v", users.Statuses)
	}
	if users.Client != webWorkload || users.Server != dbWorkload || users.Method != "GET" || users.Protocol != flow.HTTP || users.Remote != "" {
		t.Errorf("/users: %+v", users)
	}
	if len(users.Examples) == 0 || !users.Examples[0].Error {
		t.Errorf("examples %+v", users.Examples)
	}
	if r := users.Rate; r < 85 || r > 115 || users.ErrorRate < 8.5 || users.ErrorRate > 11.5 {
		t.Errorf("rates %.1f, %.1f", r, users.ErrorRate)
	}
	if p50 := float64(users.P50); math.Abs(p50-2e6) > l7.QuantileError*2e6 {
		t.Errorf("p50 %.0f", p50)
	}
	total, web, db := snap.Totals.L7[flow.HTTP], r.workload(snap, webWorkload), r.workload(snap, dbWorkload)
	if total.Requests != 1200 || total.Errors != 80 || web.Asked[flow.HTTP] != total || db.Served[flow.HTTP] != total {
		t.Errorf("totals %+v, asked %+v, served %+v", total, web.Asked[flow.HTTP], db.Served[flow.HTTP])
	}
	if web.Served[flow.HTTP].Requests != 0 || db.Asked[flow.HTTP].Requests != 0 || snap.Totals.L7[flow.DNS].Requests != 0 {
		t.Error("counted where nothing was")
	}
	if len(snap.Flows) != 0 || snap.Totals.Live != 0 || snap.Totals.Opened != 0 || snap.Totals.Unshown != 0 {
		t.Errorf("exchanges are no flows: %+v", snap.Totals)
	}
	// Rates sink without any record; what nobody spoke of for long is let go.
	if snap := r.after(time.Minute); r.operation(snap, "/users").Rate != 0 || r.operation(snap, "/users").Requests != 800 {
		t.Error("a rate that stays")
	}
	r.after(keepWorkload)
	r.tell(said(368_000, 1, "/new", 200))
	if snap := r.after(time.Second); len(snap.Operations) != 1 {
		t.Errorf("%d operations", len(snap.Operations))
	}
}

// An exchange that two sockets of this host tell of apart counts for each of them
// once; what is nobody's is the world's.
func TestViewCountsEachEndOnce(t *testing.T) {
	r := newViewRig(t, 0)
	asked, served := said(0, 3, "/a", 200), said(0, 3, "/a", 200)
	asked.L7.Both, served.L7.Both = false, false
	served.L7.Seen = flow.RoleServer
	r.tell(asked, served)
	out := said(0, 5, "/b", 200)
	out.L7.Both, out.L7.Server = false, flow.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.1:443"), Names: []string{"api.example.com"}}
	in := said(0, 7, "/c", 200)
	in.L7.Both, in.L7.Seen, in.L7.Client = false, flow.RoleServer, flow.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.2:4000")}
	r.tell(out, in)
	snap := r.after(time.Second)
	web, db, world := r.workload(snap, webWorkload), r.workload(snap, dbWorkload), r.workload(snap, nil)
	for _, tt := range []struct {
		what      string
		got, want uint64
	}{
		{"web asked", web.Asked[flow.HTTP].Requests, 8}, {"db served", db.Served[flow.HTTP].Requests, 10},
		{"world asked", world.Asked[flow.HTTP].Requests, 7}, {"world served", world.Served[flow.HTTP].Requests, 5},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, tt.got, tt.want)
		}
	}
	if o := r.operation(snap, "/b"); o.Remote != "api.example.com" || o.Server != nil {
		t.Errorf("%+v", o)
	}
	if o := r.operation(snap, "/c"); o.Remote != "" || o.Client != nil {
		t.Errorf("%+v", o)
	}
}

// What has no room is one operation a protocol, and is counted.
func TestViewOperationsAreBounded(t *testing.T) {
	r := newViewRig(t, 0)
	const more = 100
	for i := range maxOperations + more {
		r.tell(said(0, 2, fmt.Sprint("/", i), 503), said(0, 0, fmt.Sprint("/", i), 503))
	}
	snap := r.after(time.Second)
	other := r.operation(snap, l7.OtherRoute)
	if len(snap.Operations) != maxOperations+1 || other.Requests != 2*more || other.Rule != l7.RuleOther || other.Shown != more {
		t.Errorf("%d operations, other %+v", len(snap.Operations), other)
	}
	if n := snap.Totals.L7[flow.HTTP].Requests; n != 2*(maxOperations+more) {
		t.Errorf("%d in all", n)
	}
	if n := r.view.Lost()[flow.Loss{Stage: "l7", Reason: "operations_full"}]; n != 2*more {
		t.Errorf("%d lost", n)
	}
}

// What a peer invents must not stop a view.
func TestViewHostileL7(t *testing.T) {
	r := newViewRig(t, 0)
	odd := said(0, 5, "/", 200)
	odd.L7.Protocol = 200
	none := said(0, 5, "/", 200)
	none.L7 = nil
	bare := flow.Record{Kind: flow.RecordL7, Time: at(0), L7: &flow.L7{Protocol: flow.TLS}}
	r.tell(odd, none, bare)
	if n := len(r.after(time.Second).Operations); n != 1 {
		t.Errorf("%d operations", n)
	}
}

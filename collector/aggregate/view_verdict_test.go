package aggregate

import (
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// denies makes a record of web that asked db, which a policy of web's speaks of.
func denies(ms int, n uint64, change func(*flow.Judged)) flow.Record {
	j := &flow.Judged{
		Cgroup: 1, PeerCgroup: 2, Denied: true, Protocol: flow.TCP, Port: 3306, PID: 77, Comm: flow.MakeComm("curl"), Count: n,
		By: []flow.PolicyRef{{Name: "web", Namespace: "shop", Kind: "Guard", Mode: "enforce"}},
	}
	if change != nil {
		change(j)
	}
	f := flow.Flow{ID: uint64(ms) + 1, Protocol: j.Protocol, Start: at(ms), Last: at(ms), Ended: at(ms)}
	near := flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:0"), Workload: webWorkload, Seen: true, PID: j.PID, Comm: j.Comm}
	far := flow.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.3"), j.Port), Workload: dbWorkload}
	if f.Client, f.Server = near, far; j.Ingress {
		f.Client, f.Server = far, near
	}
	return flow.Record{Kind: flow.RecordVerdict, Time: at(ms), Flow: f, Judged: j}
}

func TestViewVerdicts(t *testing.T) {
	r := newViewRig(t, 0)
	audit := func(j *flow.Judged) { j.Denied, j.By[0].Mode = false, "audit" }
	newest := func(j *flow.Judged) { j.PID, j.Ended = 99, true }
	r.tell(denies(0, 2, nil), denies(500, 3, newest), denies(500, 7, audit))
	for name, change := range map[string]func(*flow.Judged){
		"direction": func(j *flow.Judged) { j.Ingress = true },
		"port":      func(j *flow.Judged) { j.Port = 80 },
		"protocol":  func(j *flow.Judged) { j.Protocol = flow.UDP },
		"rule":      func(j *flow.Judged) { j.Rule = "deny everyone" },
		"policy":    func(j *flow.Judged) { j.By[0].Name = "other" },
		"kind":      func(j *flow.Judged) { j.By[0].Kind = "NetworkPolicy" },
		"policies":  func(j *flow.Judged) { j.By = append(j.By, flow.PolicyRef{Name: "other"}) },
	} {
		before := len(r.after(time.Second).Verdicts)
		r.tell(denies(600, 1, change))
		if now := len(r.after(time.Second).Verdicts); now != before+1 {
			t.Errorf("another %s: %d kinds of verdicts, %d before", name, now, before)
		}
	}
	snap := r.after(time.Second)
	var denied, audited *VerdictRow
	for i := range snap.Verdicts {
		switch row := &snap.Verdicts[i]; row.Count {
		case 5:
			denied = row
		case 7:
			audited = row
		}
	}
	if denied == nil || audited == nil {
		t.Fatalf("%+v", snap.Verdicts)
	}
	if !denied.Denied || denied.Ended != 3 || denied.First != at(0) || denied.Last != at(500) || denied.PID != 99 || denied.Comm.String() != "curl" ||
		denied.Workload != webWorkload || denied.Peer != dbWorkload || denied.Remote != "" || denied.PeerAddr.String() != "10.0.0.3" || denied.Local.String() != "10.0.0.2" {
		t.Errorf("denied %+v", denied)
	}
	if audited.Denied || audited.By[0].Mode != "audit" || audited.Ended != 0 {
		t.Errorf("audited %+v", audited)
	}
	if tot := snap.Totals; tot.Denied != 5+7 || tot.Audited != 7 || tot.Opened != 0 || tot.Failed != 0 {
		t.Errorf("totals %+v", tot)
	}
	if len(snap.Flows) != 0 || len(snap.Workloads) != 0 {
		t.Errorf("verdicts became %d flows, of %d workloads", len(snap.Flows), len(snap.Workloads))
	}
}

// A peer that no workload stands behind is told apart by its name, else its address.
func TestViewVerdictOfTheWorld(t *testing.T) {
	r := newViewRig(t, 0)
	named, bare := denies(0, 1, nil), denies(0, 1, nil)
	named.Flow.Server.Workload, named.Flow.Server.Names = nil, []string{"api.example.com"}
	bare.Flow.Server.Workload = nil
	r.tell(named, bare)
	got := map[string]bool{}
	for _, row := range r.after(time.Second).Verdicts {
		got[row.Remote] = row.Peer == nil
	}
	if len(got) != 2 || !got["api.example.com"] || !got["10.0.0.3"] {
		t.Errorf("peers %v", got)
	}
}

// Rates are of the present, and what is not told of any more leaves in the end.
func TestViewVerdictsPass(t *testing.T) {
	r := newViewRig(t, 0)
	r.tell(denies(0, 30, nil))
	snap := r.after(time.Second)
	if row := snap.Verdicts[0]; row.Rate <= 0 || snap.Totals.DeniedRate != row.Rate || snap.Totals.AuditedRate != 0 {
		t.Errorf("%v per second, %v in all", row.Rate, snap.Totals.DeniedRate)
	}
	snap = r.after(10 * time.Second)
	if row := snap.Verdicts[0]; row.Rate != 0 || row.Count != 30 || snap.Totals.DeniedRate != 0 {
		t.Errorf("after ten seconds: %+v", row)
	}
	other := denies(0, 1, func(j *flow.Judged) { j.Port = 1 })
	other.Time = at(0) + int64(keepVerdict)
	r.tell(other)
	if snap = r.after(time.Second); len(snap.Verdicts) != 1 || snap.Verdicts[0].Port != 1 || snap.Totals.Denied != 31 {
		t.Errorf("after an hour: %+v of %d", snap.Verdicts, snap.Totals.Denied)
	}
}

// What has no room is one row of each mode, and is counted. Old rows make room.
func TestViewVerdictsAreBounded(t *testing.T) {
	r := newViewRig(t, 0)
	port := func(i int, denied bool) func(*flow.Judged) {
		return func(j *flow.Judged) { j.Port, j.Denied = uint16(i), denied }
	}
	const more = 100
	for i := range maxVerdicts + more {
		r.tell(denies(0, 2, port(i, true)), denies(0, 1, port(maxVerdicts+more, false)))
	}
	snap := r.after(time.Second)
	others := map[bool]uint64{}
	for _, row := range snap.Verdicts {
		if row.Other {
			others[row.Denied] += row.Count
		}
	}
	if len(snap.Verdicts) != maxVerdicts+1 || others[true] != 2*(more+1) || others[false] != 0 {
		t.Errorf("%d rows, others %v", len(snap.Verdicts), others)
	}
	if tot := snap.Totals; tot.Denied != 2*(maxVerdicts+more) || tot.Audited != maxVerdicts+more {
		t.Errorf("%d denied and %d audited in all", tot.Denied, tot.Audited)
	}
	if n := r.view.Lost()[flow.Loss{Stage: "view", Reason: "verdicts_full"}]; n != 2*(more+1) {
		t.Errorf("%d lost", n)
	}
	r.tell(denies(0, 1, func(j *flow.Judged) { j.PeerCgroup, j.Rule = 9, "the first that finds no room" }))
	r.now = r.now.Add(keepWorkload)
	late := denies(int(keepWorkload/time.Millisecond), 1, func(j *flow.Judged) { j.Rule = "late" })
	r.tell(late)
	r.after(time.Second)
	late.Time++
	r.tell(late)
	if snap = r.after(time.Second); len(snap.Verdicts) > 2 {
		t.Errorf("%d rows after those of the scan were old", len(snap.Verdicts))
	}
}

func TestViewVerdictWithoutWords(t *testing.T) {
	r := newViewRig(t, 0)
	r.tell(flow.Record{Kind: flow.RecordVerdict, Time: at(0)}, flow.Record{Kind: flow.RecordVerdict, Time: at(0), Judged: &flow.Judged{}})
	if snap := r.after(time.Second); len(snap.Verdicts) != 1 || snap.Verdicts[0].Count != 0 {
		t.Errorf("%+v", snap.Verdicts)
	}
}

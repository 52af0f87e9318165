package aggregate

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

var (
	clientSide = tcp(flow.RoleClient, 1, "10.0.0.2:40000", "10.0.0.3:80").conn(7)
	serverSide = tcp(flow.RoleServer, 2, "10.0.0.3:80", "10.0.0.2:40000").conn(7)
	outbound   = tcp(flow.RoleClient, 1, "10.0.0.2:40000", "93.184.216.34:443").conn(9)
)

func TestStartWaitsForOtherEndAndNames(t *testing.T) {
	r := newRig(t, 0)
	r.apply(outbound.open(0))
	r.tick(199)
	r.kinds()
	r.id.names[netip.MustParseAddr("93.184.216.34")] = []string{"example.com"}
	r.tick(200)
	got := r.kinds(start)[0]
	if names := got.Flow.Server.Names; len(names) != 1 || names[0] != "example.com" {
		t.Errorf("names %q", names)
	}
	if got.Time != at(0) || got.Verdict != flow.VerdictForwarded || got.Flow.Server.Workload != nil {
		t.Errorf("record %+v", got)
	}
}

func TestStartWaitsForPendingWorkload(t *testing.T) {
	pending := &flow.Workload{CgroupID: 101, Name: "?", Pending: true}
	named := &flow.Workload{CgroupID: 101, Name: "web", Container: "abc"}
	t.Run("named in time", func(t *testing.T) {
		r := newRig(t, 0)
		r.id.byCgroup[101] = pending
		r.apply(clientSide.open(0), serverSide.open(1))
		r.run(500)
		r.kinds()
		r.id.byCgroup[101] = named
		r.id.generation++
		r.run(800)
		if w := r.kinds(start)[0].Flow.Client.Workload; w != named {
			t.Errorf("workload %+v", w)
		}
	})
	t.Run("named later", func(t *testing.T) {
		r := newRig(t, 0)
		r.id.byCgroup[101] = pending
		r.apply(clientSide.open(0), serverSide.open(1))
		r.run(999)
		r.kinds()
		r.run(1000)
		r.kinds(start)
		r.id.byCgroup[101] = named
		r.id.generation++
		r.run(2500)
		if w := r.kinds(update)[0].Flow.Client.Workload; w != named {
			t.Errorf("workload %+v", w)
		}
	})
	t.Run("ends first", func(t *testing.T) {
		r := newRig(t, 0)
		r.id.byCgroup[101] = pending
		r.apply(clientSide.open(0), serverSide.open(1), clientSide.close(5, flow.EndClosed), serverSide.close(6, flow.EndClosed))
		r.run(900)
		r.kinds()
		r.run(1100)
		r.kinds(start, ending)
	})
}

// The kernel's own socket, which answers pings, is in no container's cgroup.
func TestKernelSocketByAddress(t *testing.T) {
	r := newRig(t, 0)
	db := r.id.know(5, "db", "10.0.0.3")
	ping := newSock(flow.ICMP, flow.RoleClient, 1, "10.0.0.2:0", "10.0.0.3:0")
	pong := newSock(flow.ICMP, flow.RoleServer, 2, "10.0.0.3:0", "10.0.0.2:0")
	pong.Socket.PID = 0
	r.apply(ping.open(0), pong.open(1))
	if w := r.kinds(start)[0].Flow.Server.Workload; w != db {
		t.Errorf("workload %+v", w)
	}
}

func TestWorkloadIsNeverForgotten(t *testing.T) {
	for _, worse := range []flow.Workload{{CgroupID: 101, Name: "101", Pending: true}, {CgroupID: 101, Name: "101"}} {
		for _, known := range []*flow.Workload{{CgroupID: 101, Name: "web", Container: "abc"}, {CgroupID: 101, Name: "cron.service"}} {
			if known.Container == "" && !worse.Pending {
				continue // one unit's name is as good as another
			}
			r := newRig(t, 0)
			r.id.byCgroup[101] = known
			r.apply(clientSide.open(0), serverSide.open(1))
			r.kinds(start)
			r.id.byCgroup[101] = &worse
			r.id.generation++
			r.apply(clientSide.bytes(100, 0).update(1500))
			r.run(1800)
			if got := r.kinds(update)[0].Flow.Client.Workload; got != known {
				t.Errorf("workload %v became %+v", known, got)
			}
		}
	}
}

func TestUpdatesOncePerSecondAndDeltas(t *testing.T) {
	r := newRig(t, 0)
	r.apply(clientSide.open(0), serverSide.open(1))
	r.kinds(start)
	for ms := 10; ms <= 3000; ms += 10 {
		r.apply(clientSide.bytes(uint64(ms*100), 0).update(ms), serverSide.bytes(uint64(ms*200), uint64(ms*90)).update(ms))
	}
	got := r.kinds(update, update)
	if d := got[0].Delta.Sent.Payload; d != got[0].Flow.Sent.Payload {
		t.Errorf("first delta %d, flow's %d", d, got[0].Flow.Sent.Payload)
	}
	r.run(8000) // nothing more changes: the rest is told once
	r.kinds(update)
	r.apply(clientSide.bytes(300000, 0).update(8500)) // a full reading that brings no news
	r.run(12000)
	r.kinds()
}

func TestDeltasSumUpToTotals(t *testing.T) {
	r := newRig(t, 0)
	r.apply(clientSide.open(0))
	r.run(500)
	c, s := clientSide, serverSide
	c.Socket.Retransmits, s.Socket.Retransmits = 3, 4
	r.apply(c.bytes(1000, 4000).update(600))
	r.run(1500)
	r.apply(s.bytes(5000, 900).open(1600), c.bytes(2000, 4000).update(1700)) // the server's end is told late
	r.run(3000)
	r.apply(c.bytes(3000, 6000).close(3100, flow.EndClosed), s.bytes(7000, 3000).close(3101, flow.EndClosed))
	got := r.take()
	var sum flow.Delta
	for _, x := range got {
		sum.Sent.Add(x.Delta.Sent)
		sum.Received.Add(x.Delta.Received)
		sum.Retransmits += x.Delta.Retransmits
	}
	last := got[len(got)-1]
	if last.Kind != ending || sum.Sent != last.Flow.Sent || sum.Received != last.Flow.Received || sum.Retransmits != last.Flow.Retransmits {
		t.Errorf("deltas sum to %+v, the flow's totals are %+v %+v %d", sum, last.Flow.Sent, last.Flow.Received, last.Flow.Retransmits)
	}
	if last.Flow.Sent.Payload != 3000 || last.Flow.Received.Payload != 7000 || last.Flow.Retransmits != 7 {
		t.Errorf("totals %d, %d, %d", last.Flow.Sent.Payload, last.Flow.Received.Payload, last.Flow.Retransmits)
	}
}

// What was counted before weir came is in the flow and in no delta.
func TestPreexistingCounters(t *testing.T) {
	r := newRig(t, 0)
	c, s := clientSide.older(), serverSide.older()
	r.apply(c.bytes(1000, 50000).update(0))
	r.run(300)
	r.apply(s.bytes(50100, 1000).update(400))
	r.run(1400)
	got := r.kinds(start, update)
	r.apply(c.bytes(1100, 50100).update(1500), s.bytes(50300, 1100).update(1500))
	r.run(2500)
	got = append(got, r.kinds(update)...)
	if f := got[0].Flow; f.Received.Payload != 50000 || !f.Preexisting {
		t.Errorf("start %+v", f)
	}
	for _, x := range got[:2] {
		if x.Delta != (flow.Delta{}) {
			t.Errorf("delta of record %d: %+v", x.Kind, x.Delta)
		}
	}
	if d := got[2].Delta; d.Sent.Payload != 100 || d.Received.Payload != 200 {
		t.Errorf("delta of the update: %d sent, %d received; want 100, 200", d.Sent.Payload, d.Received.Payload)
	}
}

// A socket may be older than weir while its connectionless flow is not: then
// everything was counted by weir.
func TestPreexistingConnectionless(t *testing.T) {
	r := newRig(t, 0)
	r.apply(udp(flow.RoleUnknown, 1, "10.0.0.2:53", "10.0.0.9:4000").older().bytes(500, 100).update(0))
	r.run(300)
	if d := r.kinds(start)[0].Delta; d.Received.Payload != 500 || d.Sent.Payload != 100 {
		t.Errorf("delta %+v", d)
	}
}

func TestEnds(t *testing.T) {
	const none = flow.End(255) // this end does not close
	for _, tc := range []struct {
		client, server, want flow.End
	}{
		{flow.EndClosed, flow.EndClosed, flow.EndClosed},
		{flow.EndResetLocal, flow.EndResetRemote, flow.EndResetLocal},
		{flow.EndResetRemote, flow.EndResetLocal, flow.EndResetRemote},
		{flow.EndClosed, flow.EndResetLocal, flow.EndResetRemote},
		{flow.EndResetRemote, flow.EndResetRemote, flow.EndResetRemote},
		{flow.EndTimedOut, flow.EndClosed, flow.EndTimedOut},
		{flow.EndIdle, flow.EndIdle, flow.EndIdle},
		{flow.EndIdle, flow.EndClosed, flow.EndClosed},
		{none, flow.EndResetLocal, flow.EndResetRemote},
		{flow.EndResetLocal, none, flow.EndResetLocal},
	} {
		t.Run(fmt.Sprintf("%d %d", tc.client, tc.server), func(t *testing.T) {
			r := newRig(t, 0)
			r.apply(clientSide.open(0), serverSide.open(1))
			r.kinds(start)
			if tc.client != none {
				r.apply(clientSide.close(2000, tc.client))
			}
			if tc.server != none {
				r.apply(serverSide.close(2001, tc.server))
			}
			if tc.client == none || tc.server == none {
				r.run(2990)
				r.kinds()
				r.run(3100)
			}
			f := r.kinds(ending)[0].Flow
			if f.End != tc.want {
				t.Errorf("end %v, want %v", f.End, tc.want)
			}
			if f.Ended == 0 || r.table.Stats().Flows != 0 {
				t.Errorf("ended %d, %d flows left", f.Ended, r.table.Stats().Flows)
			}
		})
	}
}

func TestCloseOnly(t *testing.T) {
	for _, how := range []flow.End{flow.EndRefused, flow.EndTimedOut} {
		r := newRig(t, 0)
		r.id.know(5, "web", "10.0.0.3")
		r.apply(clientSide.close(3, how))
		r.run(150)
		r.kinds()
		r.run(1200)
		if f := r.kinds(start, ending)[1].Flow; f.End != how || f.Server.Workload.Name != "web" {
			t.Errorf("flow %+v", f)
		}
	}
}

// A peer outside this host has no end to wait for.
func TestForeignPeerEndsAtOnce(t *testing.T) {
	r := newRig(t, 0)
	r.apply(outbound.open(0))
	r.run(300)
	r.apply(outbound.close(400, flow.EndClosed))
	r.kinds(start, ending)
}

// What comes after the end brings no flow back; packets that no record told of
// are counted as lost.
func TestLateReports(t *testing.T) {
	r := newRig(t, 0)
	r.apply(clientSide.open(0), serverSide.open(1))
	r.apply(clientSide.bytes(1000, 0).close(5, flow.EndClosed))
	r.run(1100)
	r.kinds(start, ending)
	r.apply(clientSide.bytes(1000, 0).update(1200), serverSide.bytes(0, 1000).close(1201, flow.EndClosed))
	r.run(1500)
	r.kinds()
	if s := r.table.Stats(); s.Flows != 0 || s.Late != 0 {
		t.Errorf("stats %+v after reports without news", s)
	}
	r.apply(serverSide.bytes(5000, 1000).close(1600, flow.EndClosed))
	if s := r.table.Stats(); s.Flows != 0 || s.Late != 1 || s.Lost()[flow.Loss{Stage: "aggregate", Reason: "late"}] != 1 {
		t.Errorf("stats %+v after a report with news", s)
	}
}

// One socket can have one flow after another: a second connect after a refused
// one, a UDP socket that speaks again after it was idle.
func TestSocketUsedAgain(t *testing.T) {
	t.Run("connect again while the first is held", func(t *testing.T) {
		r := newRig(t, 0)
		r.apply(clientSide.close(3, flow.EndRefused), clientSide.conn(70).open(50), serverSide.conn(70).open(51))
		got := r.kinds(start, ending, start)
		if got[0].Flow.ID == got[2].Flow.ID || !got[2].Flow.Server.Seen {
			t.Errorf("second flow %+v", got[2].Flow)
		}
	})
	t.Run("UDP after idle", func(t *testing.T) {
		r := newRig(t, 0)
		u := udp(flow.RoleClient, 1, "10.0.0.2:4000", "8.8.8.8:53")
		r.apply(u.bytes(100, 200).open(0))
		r.run(40000)
		r.apply(u.bytes(100, 200).close(10000, flow.EndIdle)) // told when it is noticed, of the last packet's time
		r.kinds(start, ending)
		r.apply(u.bytes(50, 0).open(41000))
		r.run(41500)
		if got := r.kinds(start)[0]; got.Delta.Sent.Payload != 50 {
			t.Errorf("second flow %+v", got)
		}
	})
	t.Run("its close was lost", func(t *testing.T) {
		r := newRig(t, 0)
		r.apply(outbound.open(0))
		r.run(300)
		r.apply(tcp(flow.RoleClient, 1, "10.0.0.2:40001", "93.184.216.35:443").conn(10).open(5000))
		r.run(5300)
		if got := r.kinds(start, ending, start); got[1].Flow.End != flow.EndLost {
			t.Errorf("first flow ended %v", got[1].Flow.End)
		}
	})
}

func TestNotHeardOf(t *testing.T) {
	r := newRig(t, 0)
	quiet := tcp(flow.RoleClient, 3, "10.0.0.2:40009", "93.184.216.34:443")
	r.apply(outbound.open(0), quiet.open(0))
	for ms := 60_000; ms <= 290_000; ms += 60_000 {
		r.apply(quiet.update(ms)) // the full reading: no news, but alive
		r.run(ms)
	}
	r.kinds(start, start)
	r.run(301_000)
	f := r.kinds(ending)[0].Flow
	if f.End != flow.EndLost || f.Client.Cookie != 1 {
		t.Errorf("flow %d ended %v", f.Client.Cookie, f.End)
	}
	// It lives after all: it comes back, and nothing is told twice.
	r.apply(outbound.bytes(900, 900).update(302_000))
	r.run(302_500)
	if got := r.kinds(start)[0]; got.Delta != (flow.Delta{}) || got.Flow.Sent.Payload != 900 {
		t.Errorf("record %+v", got)
	}
}

// The host slept: that nobody was heard of tells nothing about one flow.
func TestSilenceOfAll(t *testing.T) {
	r := newRig(t, 0)
	r.apply(outbound.open(0))
	r.run(300)
	r.kinds(start)
	r.tick(3 * 3600 * 1000)
	r.kinds()
	if n := r.table.Stats().Flows; n != 1 {
		t.Errorf("%d flows after a sleep of three hours", n)
	}
}

func TestEviction(t *testing.T) {
	r := newRig(t, 4)
	for i := range 6 {
		r.apply(tcp(flow.RoleClient, uint64(i+1), fmt.Sprintf("10.0.0.2:%d", 4000+i), "93.184.216.34:443").open(i))
		if i == 3 {
			r.apply(tcp(flow.RoleClient, 1, "10.0.0.2:4000", "93.184.216.34:443").bytes(100, 0).update(3)) // no longer the idlest
		}
	}
	var gone []uint64
	for _, x := range r.take() {
		if x.Kind == ending {
			gone = append(gone, x.Flow.Client.Cookie)
		}
	}
	if !slices.Equal(gone, []uint64{2, 3}) {
		t.Errorf("evicted %v, want 2 and 3", gone)
	}
	s := r.table.Stats()
	if s.Flows != 4 || s.Evicted != 2 || s.Lost()[flow.Loss{Stage: "aggregate", Reason: "table_full"}] != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestOwnSocketsAreHidden(t *testing.T) {
	r := newRig(t, 0)
	own := serverSide
	own.Socket.Self = true
	r.apply(clientSide.open(0), own.open(1), clientSide.bytes(9, 9).update(2))
	r.run(2000)
	r.apply(clientSide.close(2100, flow.EndClosed), own.close(2101, flow.EndClosed))
	r.run(4000)
	r.kinds()
}

func TestDrain(t *testing.T) {
	r := newRig(t, 0)
	r.apply(outbound.open(0))
	r.run(300)
	other := tcp(flow.RoleClient, 3, "10.0.0.2:40001", "10.0.0.3:80")
	r.apply(outbound.bytes(100, 0).update(350), other.open(360), other.close(361, flow.EndClosed))
	r.kinds(start)
	r.table.Drain()
	got := r.kinds(start, ending, update)
	if got[2].Delta.Sent.Payload != 100 {
		t.Errorf("delta %+v", got[2].Delta)
	}
}

func TestIdentityEvents(t *testing.T) {
	r := newRig(t, 0)
	kinds := []flow.Kind{flow.KindCgroupCreated, flow.KindDNS, flow.KindWorkload, flow.KindCgroupRemoved}
	for i, k := range kinds {
		r.apply(flow.Event{Kind: k, Time: at(i)})
	}
	if !slices.Equal(r.id.observed, kinds) {
		t.Errorf("observed %v", r.id.observed)
	}
}

package aggregate

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func dropOf(source, destination string, netns uint32, ms int) flow.Event {
	return flow.Event{Kind: flow.KindDrop, Time: at(ms), Drop: &flow.Drop{
		NetNS: netns, Protocol: flow.TCP, Reason: "NETFILTER_DROP", Packets: 3, Bytes: 180,
		Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination),
	}}
}

func TestDropOfFlow(t *testing.T) {
	for name, ev := range map[string]flow.Event{
		"client's packet": dropOf("10.0.0.2:40000", "10.0.0.3:80", 1, 5),
		"server's packet": dropOf("10.0.0.3:80", "10.0.0.2:40000", 99, 5),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0)
			r.apply(clientSide.open(0), ev, ev)
			got := r.kinds(start, dropped, dropped)
			last := got[2]
			if last.Flow.ID != got[0].Flow.ID || last.Flow.Drops != 6 || last.Flow.DropReason != "NETFILTER_DROP" {
				t.Errorf("flow %+v", last.Flow)
			}
			if last.Verdict != flow.VerdictDropped || last.Drop != ev.Drop || last.Time != at(5) {
				t.Errorf("record %+v", last)
			}
		})
	}
}

func TestDropInOneOfTwoNamespaces(t *testing.T) {
	r := newRig(t, 0)
	r.apply(
		tcp(flow.RoleClient, 1, "10.0.0.2:40000", "10.0.0.3:80").netns(11).conn(1).open(0),
		tcp(flow.RoleClient, 2, "10.0.0.2:40000", "10.0.0.3:80").netns(12).conn(2).open(0),
	)
	for _, netns := range []uint32{11, 12} {
		r.apply(dropOf("10.0.0.3:80", "10.0.0.2:40000", netns, 5))
		got := r.take()
		if f := got[len(got)-1].Flow; f.Client.NetNS != netns {
			t.Errorf("drop in %d put on the flow in %d", netns, f.Client.NetNS)
		}
	}
}

// After NAT the packet names the server's real address.
func TestDropBehindNAT(t *testing.T) {
	r := newRig(t, 0)
	r.id.nat[netip.MustParseAddrPort("192.168.1.1:8080")] = netip.MustParseAddrPort("172.17.0.2:80")
	r.apply(tcp(flow.RoleClient, 1, "10.0.0.2:40000", "192.168.1.1:8080").open(0), dropOf("172.17.0.2:80", "10.0.0.2:40000", 5, 1))
	r.kinds(start, dropped)
}

func TestDropOfNoFlow(t *testing.T) {
	r := newRig(t, 0)
	web := r.id.know(5, "web", "10.0.0.3")
	listen := sock{Socket: flow.Socket{Protocol: flow.TCP, NetNS: 1, Local: netip.MustParseAddrPort("0.0.0.0:80")}}
	r.apply(listen.event(flow.KindListen, 0), dropOf("10.0.0.3:80", "10.0.0.2:40000", 1, 5), dropOf("10.0.0.2:40000", "10.0.0.3:80", 1, 6))
	got := r.kinds(dropped, dropped)
	for _, x := range got {
		f := x.Flow
		if f.Client.Addr.String() != "10.0.0.2:40000" || f.Server.Workload != web || f.Ended == 0 || f.Drops != 3 {
			t.Errorf("flow %+v", f)
		}
	}
	if got[0].Flow.ID == got[1].Flow.ID || r.table.Stats().Flows != 0 {
		t.Errorf("ids %d, %d; %d flows in the table", got[0].Flow.ID, got[1].Flow.ID, r.table.Stats().Flows)
	}
}

func TestReasonsAreBounded(t *testing.T) {
	r := newReasons()
	for i := range 3 * maxReasons {
		r.number(fmt.Sprint("reason ", i))
	}
	if len(r.names) != maxReasons {
		t.Errorf("%d names kept", len(r.names))
	}
	if n := r.number("reason 1"); r.name(n) != "reason 1" {
		t.Errorf("reason 1 became %q", r.name(n))
	}
}

package ui

import (
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// policies are those of the shop: one of them wants to break the screen.
func (s shop) policies() Policies {
	return Policies{
		List: []Policy{
			{Name: "shop/orders", Kind: "CiliumNetworkPolicy", Mode: "enforce", File: "/etc/weir/orders.yaml", Since: noon.Add(-26 * time.Hour),
				Selected: []string{"shop/shop-orders-1"}, Denied: 1_204},
			{Name: "database", Kind: "Guard", Mode: "enforce", File: "guard.yaml", Since: noon.Add(-4 * time.Minute), Until: noon.Add(11 * time.Minute),
				Selected: []string{"shop/shop-orders-1", "shop/shop-web-1"}, Denied: 121,
				Said: []string{"denied: \x1b[2Jsh[red]op/evil → shop/db port 3306/tcp, 121 times: deny everyone else to database port 3306/TCP"}},
			{Name: "shop/ev\x1b[31mil[red]\u202e日本", Kind: "NetworkPolicy", Mode: "audit", File: "\x1b]0;x\a.yaml", Since: noon.Add(-90 * time.Second), Audited: 40},
		},
		Uncovered: []string{"eth1: another program is first", "eth2: gone"},
	}
}

// verdicts are what they said; one policy is there no more, and one row has no room.
func (s shop) verdicts() []aggregate.VerdictRow {
	row := func(w, peer *flow.Workload, p flow.Protocol, port uint16, rule string, denied bool, n uint64, last time.Duration, by ...flow.PolicyRef) aggregate.VerdictRow {
		return aggregate.VerdictRow{Workload: w, Peer: peer, Protocol: p, Port: port, Rule: rule, Denied: denied, Count: n, By: by,
			First: ago(time.Hour), Last: ago(last), PID: 2202, Comm: flow.MakeComm("orders"), Local: netip.MustParseAddr("172.18.0.3"), PeerAddr: netip.MustParseAddr("172.18.0.5")}
	}
	ref := func(namespace, name, kind, mode string) flow.PolicyRef {
		return flow.PolicyRef{Namespace: namespace, Name: name, Kind: kind, Mode: mode}
	}
	orders := ref("shop", "orders", "CiliumNetworkPolicy", "enforce")
	guard := ref("", "database", "Guard", "enforce")
	guard.Section, guard.Index = "guard", 0
	evil := ref("shop", "ev\x1b[31mil[red]\u202e日本", "NetworkPolicy", "audit")
	gone := ref("shop", "gone", "Guard", "audit")
	out := []aggregate.VerdictRow{
		row(s.orders, nil, flow.TCP, 443, "", true, 1_204, 2*time.Second, orders),
		row(s.db, s.evil, flow.TCP, 3306, "deny everyone else to database port 3306/TCP", true, 121, 40*time.Second, guard),
		row(s.evil, nil, flow.UDP, 53, "\x1b]0;x\a[red]deny\u202e", false, 40, 5*time.Minute, evil, gone),
		row(s.web, nil, flow.ICMP, 8, "", false, 3, 30*time.Minute, gone),
		{Denied: true, Other: true, Count: 17, First: ago(time.Minute), Last: ago(time.Second)},
	}
	out[0].Remote, out[0].Rate = "pay.example.com", 2.5
	out[0].PeerAddr = netip.MustParseAddr("203.0.113.80")
	out[1].Ingress, out[1].Ended, out[1].PID, out[1].Comm = true, 2, 0, flow.Comm{}
	out[2].Remote, out[2].Comm = "x.[::bu]evil\u202e.example", flow.MakeComm("\x1b]0;x\a[red]sh")
	out[3].Remote = "203.0.113.9"
	return out
}

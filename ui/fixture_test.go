package ui

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// noon is the fixed clock of all tests.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fixedClock() time.Time { return noon }

func ago(d time.Duration) int64 { return noon.Add(-d).UnixNano() }

func compose(id uint64, name, service, image string) *flow.Workload {
	return &flow.Workload{
		CgroupID: id, Cgroup: fmt.Sprintf("/system.slice/docker-%064x.scope", id*7919), Runtime: flow.RuntimeDocker,
		Container: fmt.Sprintf("%012x%052x", id*0xabcdef12345, id), Name: name, Namespace: "shop", Image: image,
		Owner: flow.Owner{Kind: "ComposeService", Name: service},
	}
}

// shop is a small host: a shop's containers, a unit, the host and the world,
// some of them with names that want to break the screen.
type shop struct {
	web, orders, redis, db, evil, sshd, host *flow.Workload
}

func newShop() shop {
	return shop{
		web:    compose(11, "shop-web-1", "web", "nginx:1.29"),
		orders: compose(12, "shop-orders-1", "orders", "registry.example.com/shop/orders:2026.11.1"),
		redis:  compose(13, "shop-redis-1", "redis", "redis:8"),
		db:     compose(14, "shop-database-with-a-rather-long-name-1", "db", "mariadb:12"),
		evil:   &flow.Workload{CgroupID: 15, Runtime: flow.RuntimeDocker, Name: "ev\x1b[31mil[red]\u202e日本", Namespace: "[::b]", Pending: true},
		sshd: &flow.Workload{CgroupID: 16, Cgroup: "/system.slice/ssh.service", Runtime: flow.RuntimeSystemd, Name: "ssh.service",
			Owner: flow.Owner{Kind: "Unit", Name: "ssh.service"}},
		host: &flow.Workload{CgroupID: 1, Cgroup: "/", Runtime: flow.RuntimeHost, Name: "curl", Owner: flow.Owner{Kind: "Host"}},
	}
}

func local(w *flow.Workload, addr, comm string, pid uint32) flow.Endpoint {
	return flow.Endpoint{Addr: netip.MustParseAddrPort(addr), Workload: w, Seen: true, Cookie: uint64(pid) * 3,
		NetNS: 4026532000 + uint32(w.CgroupID), PID: pid, Comm: flow.MakeComm(comm)}
}

func remote(addr string, names ...string) flow.Endpoint {
	return flow.Endpoint{Addr: netip.MustParseAddrPort(addr), Names: names}
}

func counters(packets, payload uint64) flow.Counters {
	return flow.Counters{Packets: packets, Payload: payload, Wire: payload + 52*packets}
}

func (s shop) flows() []aggregate.FlowRow {
	row := func(id uint64, p flow.Protocol, c, srv flow.Endpoint, age time.Duration, sentRate, recvRate float64) aggregate.FlowRow {
		secs := max(1, uint64(age.Seconds()))
		return aggregate.FlowRow{
			Flow: flow.Flow{ID: id, Protocol: p, Client: c, Server: srv, Start: ago(age), Last: ago(time.Second),
				Sent: counters(secs*4, uint64(sentRate)*secs), Received: counters(secs*6, uint64(recvRate)*secs), RTT: int64(id) * 41_000,
				ConnectLatency: int64(id) * 97_000},
			SentRate:     aggregate.Rates{Packets: 4, Payload: sentRate, Wire: sentRate + 208},
			ReceivedRate: aggregate.Rates{Packets: 6, Payload: recvRate, Wire: recvRate + 312},
		}
	}
	out := []aggregate.FlowRow{
		row(1, flow.TCP, remote("198.51.100.23:51514", "client.example.net"), local(s.web, "172.18.0.2:443", "nginx", 2101), 187*time.Second, 1_204, 88_412),
		row(2, flow.TCP, local(s.web, "172.18.0.2:40110", "nginx", 2101), local(s.orders, "172.18.0.3:8080", "orders", 2202), 125*time.Second, 2_600, 61_000),
		row(3, flow.TCP, local(s.orders, "172.18.0.3:53122", "orders", 2202), local(s.redis, "172.18.0.4:6379", "redis-server", 2303), 2*time.Hour+5*time.Minute, 45_000, 1_250_000),
		row(4, flow.TCP, local(s.orders, "172.18.0.3:53130", "orders", 2202), local(s.db, "172.18.0.5:3306", "mariadbd", 2404), 76*time.Hour, 9_120, 312_000),
		row(5, flow.TCP, local(s.orders, "172.18.0.3:53144", "orders", 2202), local(s.db, "172.18.0.5:3307", "", 0), 3*time.Second, 0, 0),
		row(6, flow.UDP, local(s.orders, "172.18.0.3:41200", "orders", 2202), remote("10.0.0.53:53", "dns.internal"), 400*time.Millisecond, 55, 120),
		row(7, flow.TCP, local(s.evil, "172.18.0.9:33000", "\x1b]0;x\a[red]sh", 666), remote("[2001:db8:0:1::bad:cafe]:443", "x.[::bu]evil\u202e.example"), 44*time.Second, 310_000, 900),
		row(8, flow.TCP, remote("203.0.113.7:60022"), local(s.sshd, "192.0.2.10:22", "sshd", 900), 31*24*time.Hour, 96, 640),
		row(9, flow.ICMP, local(s.host, "192.0.2.10:0", "ping", 31337), remote("192.0.2.1:0"), 12*time.Second, 64, 64),
		row(10, flow.TCP, local(s.host, "192.0.2.10:55001", "curl", 31400), remote("[2001:db8::1]:443"), 65*time.Second, 0, 0),
	}
	out[3].Retransmits, out[3].Drops, out[3].DropReason = 7, 3, "NETFILTER_DROP"
	out[4].Ended, out[4].End = ago(2*time.Second), flow.EndRefused
	out[5].Ended, out[5].End = ago(100*time.Millisecond), flow.EndIdle
	out[5].RTT = 0
	out[7].Preexisting = true
	out[8].ICMPType = 8
	out[8].RTT = 0
	out[9].Ended, out[9].End, out[9].Retransmits = ago(time.Minute), flow.EndTimedOut, 6
	out[0].ServerXlated = netip.MustParseAddrPort("172.18.0.2:443")
	out[0].Server.Addr = netip.MustParseAddrPort("192.0.2.10:443")
	out[0].Server.Via = "docker-proxy"
	out[5].ClientXlated = netip.MustParseAddrPort("192.0.2.10:61001")
	return out
}

func (s shop) workloads() []aggregate.WorkloadRow {
	rates := func(payload float64) aggregate.Rates {
		return aggregate.Rates{Packets: payload / 1000, Payload: payload, Wire: payload * 1.05}
	}
	row := func(w *flow.Workload, live, peers int, opened uint64, openRate, in, out float64, rtt time.Duration) aggregate.WorkloadRow {
		return aggregate.WorkloadRow{Workload: w, Live: live, Opened: opened, Peers: peers, RTT: int64(rtt), OpenRate: openRate,
			Sent: counters(opened*10, uint64(out)*600), Received: counters(opened*10, uint64(in)*600), SentRate: rates(out), ReceivedRate: rates(in)}
	}
	out := []aggregate.WorkloadRow{
		row(s.web, 12, 5, 12_345, 41.2, 62_204, 91_012, 1200*time.Microsecond),
		row(s.orders, 4, 4, 190_211, 388, 1_562_000, 54_175, 310*time.Microsecond),
		row(s.redis, 1, 1, 3, 0, 45_000, 1_250_000, 41*time.Microsecond),
		row(s.db, 1, 1, 51, 0.3, 9_120, 312_000, 164*time.Microsecond),
		row(s.evil, 1, 1, 1, 0, 900, 310_000, 87*time.Millisecond),
		row(s.sshd, 1, 1, 1, 0, 96, 640, 23*time.Millisecond),
		row(s.host, 2, 2, 44, 0.1, 64, 64, 0),
		row(nil, 4, 6, 12_390, 41.3, 89_376, 312_004, 14*time.Millisecond),
	}
	out[1].Failed, out[6].Failed = 1, 6
	out[3].Retransmits, out[3].Drops = 7, 3
	return out
}

func (s shop) snapshot() *aggregate.Snapshot {
	snap := &aggregate.Snapshot{Time: noon.UnixNano(), Seq: 1, Flows: s.flows(), Workloads: s.workloads(), Totals: aggregate.Totals{
		Live: 7, Opened: 202_656, Failed: 7, Drops: 3, Retransmits: 13, OpenRate: 429.6,
		SentRate: aggregate.Rates{Payload: 368_139}, ReceivedRate: aggregate.Rates{Payload: 1_713_136}}}
	s.talk(snap)
	return snap
}

func healthy() collector.Health {
	return collector.Health{
		Events: 1_204_331, Records: 640_118, Flows: 10, Since: ago(2*time.Hour + 3*time.Minute),
		Source: flow.SourceStats{
			PerCPU: []flow.CPUCounts{{Produced: 602_200, Delivered: 602_200}, {Produced: 602_140, Delivered: 602_131}},
			Unread: 864, Ring: 8 << 20,
			Tables: []flow.TableFill{{Name: "flows", Entries: 10, Max: 262_144}, {Name: "listeners", Entries: 3_300, Max: 4_096}},
		},
	}
}

func lossy() collector.Health {
	h := healthy()
	h.Source.PerCPU[1].Lost, h.Source.PerCPU[1].Produced = 1_187, 603_318
	h.Lost = map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 1_187, {Stage: "hubble", Reason: "queue_full"}: 17}
	h.Evicted = 12
	h.Source.Unseen = []flow.Unseen{{Protocol: flow.HTTP, Reason: "mid_stream", Stretches: 12, Bytes: 88_000},
		{Protocol: flow.TLS, Reason: "gap", Stretches: 3, Bytes: 1_204_000}}
	return h
}

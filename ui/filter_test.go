package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func TestFilterFlows(t *testing.T) {
	flows := newShop().flows()
	for _, c := range []struct {
		filter string
		want   []uint64
	}{
		{"", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{"redis", []uint64{3}},
		{"REDIS", []uint64{3}},
		{"shop-redis-1:6379", []uint64{3}},
		{"shop/shop-web", []uint64{1, 2}},
		{"orders mariadb", []uint64{4, 5}},
		{"orders !mariadb !dns", []uint64{2, 3}},
		{"client.example", []uint64{1}},
		{"198.51.100.23:51514", []uint64{1}},
		{"refused", []uint64{5}},
		{"port:443", []uint64{1, 7, 10}},
		{"port:3306,6379", []uint64{3, 4}},
		{"port:3306-3307", []uint64{4, 5}},
		{"port:53", []uint64{6}},
		{"!port:1-65535", []uint64{9}},
		{"src:orders", []uint64{3, 4, 5, 6}},
		{"dst:orders", []uint64{2}},
		{"src:172.18.0.3", []uint64{3, 4, 5, 6}},
		{"src:web dst:8080", []uint64{2}},
		{"proto:udp", []uint64{6}},
		{"proto:1", []uint64{9}},
		{"proto:tcp state:ended", []uint64{5, 10}},
		{"container:redis", []uint64{3}},
		{"container:nginx:1", []uint64{1, 2}},
		{"ns:shop !container:web", []uint64{3, 4, 5, 6}},
		{"process:sshd", []uint64{8}},
		{"process:31337", []uint64{9}},
		{"process:3133", nil},
		{"state:live", []uint64{1, 2, 3, 4, 7, 8, 9}},
		{"state:failed", []uint64{5, 10}},
		{"state:timed", []uint64{10}},
		{"ip:203.0.113.7", []uint64{8}},
		{"ip:203.0", []uint64{8}},
		{"ip:2001:db8::/32", []uint64{7, 10}},
		{"ip:172.18.0.0/29 proto:udp", []uint64{6}},
		{"ip:10.0.0.5", nil},
		{"/shop-(redis|orders)-1:[0-9]{4}$/", []uint64{2, 3}},
		{"/^SSH\\.service:22$/", []uint64{8}},
		{`/172\.18\.0\.4:6379/ !/never/`, []uint64{3}},
		{`!/shop/ tcp`, []uint64{7, 8, 10}},
		{`/a\/b/`, nil},
		{"[red]", []uint64{7}},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		var got []uint64
		m := matcher{filter: f}
		for i := range flows {
			if m.flow(&flows[i]) {
				got = append(got, flows[i].ID)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q selects %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestFilterWorkloads(t *testing.T) {
	s := newShop().snapshot()
	for _, c := range []struct{ filter, want string }{
		{"port:3306", "shop-orders-1 shop-database-with-a-rather-long-name-1"},
		{"dst:redis", "shop-orders-1 shop-redis-1"},
		{"proto:icmp", "curl world"},
		{"state:refused port:3307 !orders", "shop-database-with-a-rather-long-name-1"},
		{"redis", "shop-redis-1"},
		{"ns:shop !/orders|redis/", "shop-web-1 shop-database-with-a-rather-long-name-1"},
		{"container:maria", "shop-database-with-a-rather-long-name-1"},
		{"systemd", "ssh.service"},
		{"world", "world"},
		{"path:/users", "shop-web-1 shop-orders-1"},
		{"path:/users orders", "shop-orders-1"},
		{"protocol:dns", "shop-orders-1 world"},
		{"status:5xx port:6379", "shop-orders-1"},
		{"method:get !shop", "world"},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		match := (&matcher{filter: f}).workloads(s)
		var got []string
		for i := range s.Workloads {
			if match(&s.Workloads[i]) {
				_, name := workloadName(s.Workloads[i].Workload)
				got = append(got, string(name))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q selects %v, want %s", c.filter, got, c.want)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for in, want := range map[string]string{
		"port:":        "port: a port of either end",
		"port:http":    `"http" is not a port`,
		"port:99999":   `"99999" is not a port`,
		"port:90-80":   `"90-80" is not a port`,
		"ip:hello":     `"hello" is not an address`,
		"prot:tcp":     "did you mean proto:?",
		"stat:live":    "did you mean state:?",
		"statu:500":    "did you mean status:?",
		"pat:/x":       "did you mean path:?",
		"metod:get":    "did you mean method:?",
		"protocl:dns":  "did you mean protocol:?",
		"protocol:ftp": `"ftp" is not what is spoken: http, dns or tls`,
		"status:":      "status: an outcome",
		"/abc":         "the closing / is missing",
		"/[/":          "missing closing ]",
		"a !":          "a word must follow",
		"! a":          "a word must follow",
		"/(a{900}){9/": "closing",
	} {
		if in == "/(a{900}){9/" {
			in = "/(a{900}){900}/"
			want = "/(a{900}){900}/"
		}
		_, err := parseFilter(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	if _, err := parseFilter(strings.Repeat("a", maxFilter+1)); err == nil {
		t.Error("a filter of any length is taken")
	}
}

// What is remembered of a flow holds only as long as the flow looks the same.
func TestFlowFilterRemembers(t *testing.T) {
	var c flowFilter
	f, _ := parseFilter("state:failed")
	row := newShop().flows()[0]
	if c.match(f, 1)(&row) {
		t.Fatal("a living flow has not failed")
	}
	row.Ended, row.End = 1, flow.EndTimedOut
	if !c.match(f, 1)(&row) {
		t.Error("the flow's end was not seen")
	}
	named, _ := parseFilter("frontend")
	if c.match(named, 1)(&row) {
		t.Fatal("no such name yet")
	}
	better := *row.Server.Workload
	better.Name = "frontend"
	row.Server.Workload = &better
	if !c.match(named, 1)(&row) {
		t.Error("the better name was not seen")
	}
	for id := range uint64(5000) {
		gone := aggregate.FlowRow{Flow: flow.Flow{ID: 100 + id}}
		c.match(named, 1)(&gone)
	}
	if len(c.found) > 1500 {
		t.Errorf("%d flows that have gone are remembered", len(c.found))
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"port:80 !/x[0-9]/ ns:shop", "ip:10.0.0.0/8", "ip:fe80::1%eth0", "/a\\/b/", "!", "//", "!!a", "proto:", "日本:x", "status:4xx,,no method:,x path:é"} {
		f.Add(s)
	}
	snap := newShop().snapshot()
	flows, exchanges := snap.Flows, exchangesOf(snap, func(*aggregate.OperationRow) bool { return true })
	f.Fuzz(func(t *testing.T, in string) {
		parsed, err := parseFilter(in)
		if err != nil {
			return
		}
		again, err := parseFilter(parsed.String())
		if err != nil || len(again.terms) != len(parsed.terms) {
			t.Fatalf("%q is read, %q is not: %v", in, parsed.String(), err)
		}
		m := matcher{filter: parsed}
		for i := range flows {
			m.flow(&flows[i])
		}
		for i := range exchanges {
			m.exchange(&exchanges[i])
			m.operation(exchanges[i].row)
		}
		m.workloads(snap)(&snap.Workloads[0])
	})
}

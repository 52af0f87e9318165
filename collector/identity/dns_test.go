package identity

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func answer(cgroup uint64, name string, ttl uint32, addrs ...string) *flow.DNSAnswer {
	a := &flow.DNSAnswer{Cgroup: cgroup, Name: name, TTL: ttl}
	for _, s := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	return a
}

func TestDNSNames(t *testing.T) {
	c := newDNSCache(100)
	ip := addr("192.0.2.1")
	sec := int64(time.Second)
	c.add(answer(1, "API.Example.com.", 30, "192.0.2.1"), 1*sec)
	c.add(answer(2, "cdn.example.net", 30, "192.0.2.1"), 2*sec)
	c.add(answer(1, "www.example.com", 30, "192.0.2.1", "::ffff:192.0.2.2"), 3*sec)
	for _, tt := range []struct {
		cgroup uint64
		addr   string
		want   []string
	}{
		{1, "192.0.2.1", []string{"www.example.com", "api.example.com", "cdn.example.net"}},
		{2, "192.0.2.1", []string{"cdn.example.net", "www.example.com", "api.example.com"}},
		{9, "::ffff:192.0.2.1", []string{"www.example.com", "cdn.example.net", "api.example.com"}},
		{1, "192.0.2.2", []string{"www.example.com"}},
		{1, "192.0.2.3", nil},
	} {
		if got := c.names(tt.cgroup, addr(tt.addr), 4*sec); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("names(%d, %s) = %q, want %q", tt.cgroup, tt.addr, got, tt.want)
		}
	}
	// the TTL is short, but programs keep addresses longer
	if got := c.names(1, ip, int64(dnsMinLife)); len(got) != 3 {
		t.Errorf("after five minutes: %q", got)
	}
	late := 4*sec + int64(dnsMinLife+dnsGrace)
	if got := c.names(1, ip, late); got != nil {
		t.Errorf("long after: %q", got)
	}
	c.expire(late)
	if len(c.addrs) != 0 || c.order.Len() != 0 {
		t.Errorf("%d addresses and %d in order left after expire", len(c.addrs), c.order.Len())
	}
}

func TestDNSRefusesNoise(t *testing.T) {
	c := newDNSCache(100)
	for _, name := range []string{"", ".", strings.Repeat("a", 254), "esc\x1b[31m.example", "sp ace", "ünicode"} {
		c.add(answer(1, name, 30, "192.0.2.1"), 0)
	}
	failed := answer(1, "x.example", 30, "192.0.2.1")
	failed.RCode = 3
	c.add(failed, 0)
	c.add(answer(1, "blocked.example", 30, "0.0.0.0", "127.0.0.1", "::"), 0)
	if len(c.addrs) != 0 {
		t.Errorf("noise was kept: %v", c.addrs)
	}
}

func TestDNSIsBounded(t *testing.T) {
	c := newDNSCache(10)
	for i := range 1000 {
		c.add(answer(uint64(i), fmt.Sprintf("n%d.example", i), 1<<31, fmt.Sprintf("10.0.0.%d", i%20), "10.1.1.1"), 0)
	}
	if len(c.addrs) != 10 || c.order.Len() != 10 || c.evictions() == 0 {
		t.Errorf("%d addresses, %d in order, %d evictions", len(c.addrs), c.order.Len(), c.evictions())
	}
	names := c.names(999, addr("10.1.1.1"), 0)
	if len(names) != maxNames || names[0] != "n999.example" {
		t.Errorf("names = %q", names)
	}
	for i := range 100 {
		c.add(answer(uint64(i), "same.example", 30, "10.1.1.1"), 0)
	}
	if got := c.addrs[addr("10.1.1.1")].Value.(*dnsEntry).names[0]; len(got.askers) != dnsAskers || got.askers[0] != 99 {
		t.Errorf("askers = %v", got.askers)
	}
	if got := c.names(1, addr("10.1.1.1"), int64(dnsMaxLife+2*dnsGrace)); got != nil {
		t.Errorf("a TTL of decades kept %q", got)
	}
}

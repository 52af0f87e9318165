package identity

import (
	"container/list"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	dnsMinLife  = 5 * time.Minute // programs use an address long after its TTL
	dnsMaxLife  = 24 * time.Hour  // a TTL is a stranger's word
	dnsGrace    = time.Minute     // for events that are on their way
	dnsAskers   = 8               // cgroups remembered with a name
	dnsMaxAddrs = 256             // of one answer
)

// dnsCache remembers which names were asked for when an address was the answer.
// It is safe for concurrent use. Times are nanoseconds since the Unix epoch.
type dnsCache struct {
	mu      sync.Mutex
	addrs   map[netip.Addr]*list.Element // of *dnsEntry
	order   *list.List                   // least recently answered first
	max     int
	evicted uint64
}

type dnsEntry struct {
	addr  netip.Addr
	names []dnsName // newest first
}

type dnsName struct {
	name    string
	expires int64
	askers  []uint64 // cgroups that got the answer, newest first
}

func newDNSCache(size int) *dnsCache {
	return &dnsCache{addrs: map[netip.Addr]*list.Element{}, order: list.New(), max: size}
}

// add takes an answer that arrived at now.
func (c *dnsCache) add(a *flow.DNSAnswer, now int64) {
	name, ok := dnsCleanName(a.Name)
	if !ok || a.RCode != 0 {
		return
	}
	life := min(max(time.Duration(a.TTL)*time.Second, dnsMinLife), dnsMaxLife) + dnsGrace
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, addr := range a.Addrs {
		if i == dnsMaxAddrs {
			break
		}
		// every program has loopback and 0.0.0.0; block lists answer with them for any name
		if addr = addr.Unmap().WithZone(""); addr.IsValid() && !addr.IsUnspecified() && !addr.IsLoopback() {
			c.entry(addr).add(name, a.Cgroup, now, now+int64(life))
		}
	}
}

// entry finds or makes an address's entry and makes it the newest.
func (c *dnsCache) entry(addr netip.Addr) *dnsEntry {
	if el := c.addrs[addr]; el != nil {
		c.order.MoveToBack(el)
		return el.Value.(*dnsEntry)
	}
	if len(c.addrs) >= c.max {
		c.drop(c.order.Front())
		c.evicted++
	}
	e := &dnsEntry{addr: addr}
	c.addrs[addr] = c.order.PushBack(e)
	return e
}

func (c *dnsCache) drop(el *list.Element) {
	delete(c.addrs, el.Value.(*dnsEntry).addr)
	c.order.Remove(el)
}

func (e *dnsEntry) add(name string, cgroup uint64, now, expires int64) {
	n := dnsName{name: name, expires: expires}
	e.names = slices.DeleteFunc(e.names, func(o dnsName) bool {
		if o.name == name {
			n.askers, n.expires = o.askers, max(expires, o.expires)
		}
		return o.name == name || o.expires < now
	})
	n.askers = slices.Insert(slices.DeleteFunc(n.askers, func(id uint64) bool { return id == cgroup }), 0, cgroup)
	n.askers = n.askers[:min(len(n.askers), dnsAskers)]
	e.names = slices.Insert(e.names, 0, n)
	e.names = e.names[:min(len(e.names), maxNames)]
}

// names gives an address's names: first those that cgroup was told, then the
// others, each newest first.
func (c *dnsCache) names(cgroup uint64, addr netip.Addr, now int64) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.addrs[addr.Unmap().WithZone("")]
	if el == nil {
		return nil
	}
	var own, others []string
	for _, n := range el.Value.(*dnsEntry).names {
		switch {
		case n.expires < now:
		case slices.Contains(n.askers, cgroup):
			own = append(own, n.name)
		default:
			others = append(others, n.name)
		}
	}
	return append(own, others...)
}

// expire drops addresses whose names are all too old.
func (c *dnsCache) expire(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *list.Element
	for el := c.order.Front(); el != nil; el = next {
		next = el.Next()
		if !slices.ContainsFunc(el.Value.(*dnsEntry).names, func(n dnsName) bool { return n.expires >= now }) {
			c.drop(el)
		}
	}
}

// evictions counts addresses that had to leave before their time.
func (c *dnsCache) evictions() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.evicted
}

// dnsCleanName gives a name in lower case without its final dot; ok is false
// for what is no host name.
func dnsCleanName(s string) (name string, ok bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return "", false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f { // names on the wire are ASCII; the rest is noise or an attack
			return "", false
		}
	}
	return strings.ToLower(s), true
}

package identity

import (
	"net/netip"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// natLinger is how long a translation outlives its conntrack entry, for events
// that come late.
const natLinger = 30 * time.Second

// natTable holds the destinations that the host's conntrack translates. It is
// safe for concurrent use.
type natTable struct {
	mu      sync.Mutex
	real    map[natKey]natValue
	max     int
	evicted uint64
}

type natKey struct {
	proto          flow.Protocol
	client, server netip.AddrPort // as the client names them
}

type natValue struct {
	server netip.AddrPort
	gone   time.Time // when conntrack let it go; zero while it lives
}

func newNATTable(size int) *natTable {
	return &natTable{real: map[natKey]natValue{}, max: size}
}

// learn takes a connection with its original tuple and the sender of its
// replies. Where both name the same server there is nothing to translate.
func (t *natTable) learn(k natKey, server netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.server == server {
		delete(t.real, k) // the tuple is used again, without NAT
		return
	}
	if _, ok := t.real[k]; !ok && len(t.real) >= t.max {
		for victim := range t.real { // any: the map's order is as good as random
			delete(t.real, victim)
			t.evicted++
			break
		}
	}
	t.real[k] = natValue{server: server}
}

func (t *natTable) destroyed(k natKey, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.real[k]; ok {
		v.gone = now
		t.real[k] = v
	}
}

func (t *natTable) lookup(k natKey) (netip.AddrPort, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.real[k]
	return v.server, ok
}

// expire drops translations that ended some time ago.
func (t *natTable) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.real {
		if !v.gone.IsZero() && now.Sub(v.gone) > natLinger {
			delete(t.real, k)
		}
	}
}

// reset marks every translation as ended: a new dump will say which still live.
func (t *natTable) reset(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.real {
		if v.gone.IsZero() {
			v.gone = now
			t.real[k] = v
		}
	}
}

func (t *natTable) evictions() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}

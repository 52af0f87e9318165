package aggregate

import (
	"hash/maphash"

	"github.com/seed79351815/weir/collector/flow"
)

// node names a thing that an index holds: an end of the entry in a slot, or the
// entry itself. 0 is none.
type node uint32

// whole is the place of an entry itself beside its two ends.
const whole side = 2

func nodeOf(slot uint32, s side) node { return node(slot<<2 | uint32(s)) }
func (n node) slot() uint32           { return uint32(n) >> 2 }
func (n node) side() side             { return side(n & 3) }

// index finds nodes by a hash of what they hold. The chains run through the
// entries, so it costs four bytes a bucket and never allocates; whoever looks
// something up compares the entries of the chain itself.
type index struct {
	heads []node
	next  func(node) *node
}

// newIndex makes an index with at least n buckets.
func newIndex(n int, next func(node) *node) index {
	size := 16
	for size < n {
		size *= 2
	}
	return index{make([]node, size), next}
}

func (x *index) head(h uint64) node { return x.heads[h&uint64(len(x.heads)-1)] }

func (x *index) add(h uint64, n node) {
	p := &x.heads[h&uint64(len(x.heads)-1)]
	*x.next(n) = *p
	*p = n
}

func (x *index) remove(h uint64, n node) {
	p := &x.heads[h&uint64(len(x.heads)-1)]
	for *p != 0 {
		if *p == n {
			link := x.next(n)
			*p, *link = *link, 0
			return
		}
		p = x.next(*p)
	}
}

// tuple is a flow as one end sees it. It has no padding, which keeps hashing fast.
type tuple struct {
	local, remote addr
	proto         uint16
}

// mirrored is the tuple as the other end sees it where nothing translates.
func (t tuple) mirrored() tuple { return tuple{t.remote, t.local, t.proto} }

// hasher is seeded, because tuples come from the network and must not be
// chosen to fall into one chain.
type hasher struct{ seed maphash.Seed }

func (h hasher) view(t tuple) uint64 { return maphash.Comparable(h.seed, t) }

func (h hasher) number(n uint64) uint64 { return maphash.Comparable(h.seed, n) }

// socket hashes what tells one socket's flows from all others: a TCP socket has
// one at a time, another may have many.
func (h hasher) socket(cookie uint64, t tuple) uint64 {
	n := h.number(cookie)
	if flow.Protocol(t.proto) == flow.TCP {
		return n
	}
	return n ^ h.view(t)
}

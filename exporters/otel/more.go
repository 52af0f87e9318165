package otel

import "github.com/seed79351815/weir/collector/flow"

// maxKinds bounds what a rest remembers.
const maxKinds = 16_384

// rest tells of each span how many exchanges like it there were that no span
// tells of: what the kernel counts together, with the same outcome. One goroutine
// uses it.
type rest struct {
	kinds map[kind]*int64 // counted and not told; below 0 what was told and is yet to be counted
	lost  uint64          // counted, and said on no span for want of room
}

type kind struct {
	flow.Counted
	status uint16
}

func newRest() rest { return rest{kinds: map[kind]*int64{}} }

// counted takes what a tally counts.
func (r *rest) counted(t *flow.Tally) {
	*r.of(&t.Counted, t.Status) += int64(min(t.Count, 1<<62))
}

// told takes an exchange that becomes a span, and gives how many there were like it
// since the last.
func (r *rest) told(x *flow.Exchange) uint64 {
	n := r.of(&x.Counted, x.Status)
	more := max(*n, 0)
	*n = min(*n, 0) - 1
	return uint64(more)
}

// untold takes back what told gave: the exchange became no span after all.
func (r *rest) untold(x *flow.Exchange, more uint64) {
	*r.of(&x.Counted, x.Status) += int64(more) + 1
}

// of is a kind's number. Any other kind goes where there is no room.
func (r *rest) of(c *flow.Counted, status uint16) *int64 {
	k := kind{*c, status}
	if n := r.kinds[k]; n != nil {
		return n
	}
	if len(r.kinds) >= maxKinds {
		for old, n := range r.kinds {
			r.lost += uint64(max(*n, 0))
			delete(r.kinds, old)
			break
		}
	}
	n := new(int64)
	r.kinds[k] = n
	return n
}

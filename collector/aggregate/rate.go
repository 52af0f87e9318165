package aggregate

import (
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	usualGap   = 1500 * time.Millisecond // living flows give records a little over a second apart
	stale      = 3 * time.Second         // what is older tells nothing of the present
	minSpan    = time.Second             // a burst in a millisecond is no rate
	bucketSpan = time.Second
	buckets    = 4 // the one that fills and the three before
)

// pace is a flow's speed: its latest two deltas and the times they took. A flow
// that sends steadily shows a steady rate, whenever it is looked at.
type pace struct {
	last           int64 // when the latest delta was read; 0 for none
	took           [2]int64
	sent, received [2]flow.Counters
}

// add takes the delta that was read at a time; since is where its interval began
// when it is the first.
func (p *pace) add(at, since int64, d *flow.Delta) {
	switch {
	case p.last == 0:
		p.last = since
	case at-p.last > int64(stale):
		*p = pace{last: at - int64(usualGap)}
	case at-p.last < int64(minSpan)/2: // two records of one moment
		p.took[1] += max(0, at-p.last)
		p.sent[1].Add(d.Sent)
		p.received[1].Add(d.Received)
		p.last = max(p.last, at)
		return
	}
	p.took = [2]int64{p.took[1], max(0, min(at-p.last, int64(usualGap)))}
	p.sent = [2]flow.Counters{p.sent[1], d.Sent}
	p.received = [2]flow.Counters{p.received[1], d.Received}
	p.last = at
}

// rates are those of the present; after the usual gap without news they sink.
func (p *pace) rates(now int64) (sent, received Rates) {
	idle := now - p.last
	if p.last == 0 || idle > int64(stale) {
		return Rates{}, Rates{}
	}
	span := max(p.took[0]+p.took[1], int64(minSpan)) + max(0, idle-int64(usualGap))
	return per(p.total(&p.sent), span), per(p.total(&p.received), span)
}

func (p *pace) total(c *[2]flow.Counters) flow.Counters {
	sum := c[0]
	sum.Add(c[1])
	return sum
}

// recent is what was counted lately enough to matter for a present rate.
func (p *pace) recent(now int64) (d flow.Delta) {
	if now-p.last <= int64(stale) {
		d.Sent, d.Received = p.total(&p.sent), p.total(&p.received)
	}
	return d
}

func per(c flow.Counters, span int64) Rates {
	s := float64(span) / float64(time.Second)
	return Rates{float64(c.Packets) / s, float64(c.Payload) / s, float64(c.Wire) / s}
}

func (r *Rates) add(o Rates) {
	r.Packets += o.Packets
	r.Payload += o.Payload
	r.Wire += o.Wire
}

// flux is the speed of what has no flow of its own to measure: flows that opened,
// and the bytes of those that ended, by the second.
type flux struct {
	second         [buckets]int64 // which second each bucket holds
	sent, received [buckets]flow.Counters
	opened         [buckets]uint64
}

// at is the bucket of a time, emptied where it held an older second.
func (f *flux) at(t int64) int {
	second := t / int64(bucketSpan)
	i := int(uint64(second) % buckets)
	if f.second[i] < second {
		f.second[i], f.sent[i], f.received[i], f.opened[i] = second, flow.Counters{}, flow.Counters{}, 0
	}
	return i
}

// take adds the bytes of a flow that has ended, seen from one of its sides.
func (f *flux) take(sd side, t int64, d *flow.Delta) {
	i := f.at(t)
	if sd == client {
		f.sent[i].Add(d.Sent)
		f.received[i].Add(d.Received)
	} else {
		f.sent[i].Add(d.Received)
		f.received[i].Add(d.Sent)
	}
}

// rates are the means over the buckets' time.
func (f *flux) rates(now int64) (sent, received Rates, opened float64) {
	var s, r flow.Counters
	var o uint64
	second := now / int64(bucketSpan)
	for i := range buckets {
		if f.second[i] > second-buckets {
			s.Add(f.sent[i])
			r.Add(f.received[i])
			o += f.opened[i]
		}
	}
	span := (buckets-1)*int64(bucketSpan) + now%int64(bucketSpan)
	return per(s, span), per(r, span), float64(o) / (float64(span) / float64(time.Second))
}

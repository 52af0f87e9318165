package history

import (
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// maxPending bounds the records that wait to be written. They take some 100 bytes
// each, and what their texts take.
const maxPending = 48 * blockFlows

// pending are records that wait to be written, packed: to make messages of them is
// dear, and most connections end before it is done, so that their starts need none.
// The zero value is empty.
type pending struct {
	records pack.Packer
	starts  map[uint64]int // where the start of a flow is among the records, by the flow's ID
	spare   []bool         // by record: a start whose flow's end is here too, and says all that it does
	spared  int
	since   time.Time // when the first came
}

func (p *pending) add(r *flow.Record, now time.Time) {
	switch n := p.records.Len(); r.Kind {
	case flow.RecordStart:
		if p.starts == nil {
			p.starts = make(map[uint64]int)
		}
		p.starts[r.Flow.ID] = n
	case flow.RecordEnd:
		if i, ok := p.starts[r.Flow.ID]; ok {
			p.spare[i] = true
			p.spared++
			delete(p.starts, r.Flow.ID)
		}
	}
	if len(p.spare) == 0 {
		p.since = now
	}
	p.records.Add(r)
	p.spare = append(p.spare, false)
}

// len counts those that are to be written.
func (p *pending) len() int { return len(p.spare) - p.spared }

// full tells whether it is time to write.
func (p *pending) full() bool { return len(p.spare) >= maxPending }

// take gives what waits and starts anew. It is no longer than until the next call
// that the result may be used.
func (p *pending) take() waiting {
	w := waiting{p.records.Seal(), p.spare, p.len()}
	clear(p.starts)
	p.spare, p.spared = p.spare[:0], 0
	return w
}

// view gives what waits and leaves it; the result may be kept.
func (p *pending) view() waiting {
	return waiting{p.records.View(), slices.Clone(p.spare), p.len()}
}

// waiting is what waits at one moment.
type waiting struct {
	records *pack.Batch
	spare   []bool
	n       int // of records that are not spare
}

// each yields the records in the order of their arrival, or the newest first, with
// their number in the former. The record is overwritten with the next.
func (w *waiting) each(newest bool, yield func(i int, r *flow.Record) bool) bool {
	var r flow.Record
	i, step, place := 0, 1, 0
	if newest {
		i, step, place = w.records.Len()-1, -1, w.n-1
	}
	for range w.records.Len() {
		if !w.spare[i] {
			w.records.At(i, &r)
			if !yield(place, &r) {
				return false
			}
			place += step
		}
		i += step
	}
	return true
}

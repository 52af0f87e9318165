package hubble

import (
	"math"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// chunk is how many records are packed together.
const chunk = 256

// ring keeps the newest records in chunks. Chunks are immutable once full, so a
// reader works on a view of them without a lock, however slow it is; what was
// rotated out meanwhile lives as long as the view.
type ring struct {
	max    int
	sealed []*pack.Batch // each of chunk records, oldest first
	open   pack.Packer
	gone   int64 // latest time of the records that were rotated out
}

func newRing(records int) ring { return ring{max: records, gone: math.MinInt64} }

func (r *ring) add(rec *flow.Record) {
	r.open.Add(rec)
	if r.open.Len() < chunk {
		return
	}
	r.sealed = append(r.sealed, r.open.Seal())
	for (len(r.sealed)-1)*chunk >= r.max {
		_, last := r.sealed[0].Times()
		r.gone = max(r.gone, last)
		r.sealed[0] = nil
		r.sealed = r.sealed[1:]
	}
}

// len is how many records a view would show.
func (r *ring) len() int { return min(r.max, len(r.sealed)*chunk+r.open.Len()) }

func (r *ring) view() view {
	v := view{batches: slices.Clone(r.sealed), gone: r.gone}
	total := len(r.sealed) * chunk
	if r.open.Len() > 0 {
		v.batches = append(v.batches, r.open.View())
		total += r.open.Len()
	}
	v.n = min(total, r.max)
	v.skip = total - v.n
	var old flow.Record
	for i := range v.skip {
		v.batches[i/chunk].At(i%chunk, &old)
		v.gone = max(v.gone, old.Time)
	}
	return v
}

// view is the ring at one moment: immutable, safe for many goroutines.
type view struct {
	batches []*pack.Batch
	skip    int // records of the first batches that are too old
	n       int
	gone    int64 // latest time of the records before those of the view; math.MinInt64 where there were none
}

// at unpacks record i, counted from the oldest, into r.
func (v view) at(i int, r *flow.Record) {
	i += v.skip
	v.batches[i/chunk].At(i%chunk, r)
}

// from is the first record that may have a Time of since or later, as far as
// whole batches tell.
func (v view) from(since int64) int {
	for i, b := range v.batches {
		if _, last := b.Times(); last >= since {
			return max(0, i*chunk-v.skip)
		}
	}
	return v.n
}

package history

import (
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// What may wait to be written. A chunk becomes a block. Records take some 100 bytes
// each, and what their texts take.
const (
	chunkRecords = 4096
	chunkSize    = 1 << 20 // bytes
	maxChunks    = 3
)

// chunk is records that wait together.
type chunk struct {
	records *pack.Batch // nil while more come
	keys    []string    // what they can be found by
	spare   []bool      // by record: a start whose flow's end waits too, and says all that it does
	kept    int         // records that are not spare
}

// pending are records that wait to be written, packed: most connections end before it
// is done, so that their starts need not be. The zero value is empty.
type pending struct {
	chunks []*chunk // in the order of arrival; of open is the last, where it has no records
	open   pack.Packer
	marks  marks                // of open
	starts map[uint64]startedAt // by the flow's ID
	kept   int                  // of all chunks
	since  time.Time            // when the first came
}

// startedAt is where the start of a flow waits.
type startedAt struct {
	chunk *chunk
	i     int
}

// add takes a record; c names its ends.
func (p *pending) add(r *flow.Record, now time.Time, c *convert.Converter) {
	if len(p.chunks) == 0 {
		p.since = now
	}
	if n := len(p.chunks); n == 0 || p.chunks[n-1].records != nil {
		p.chunks = append(p.chunks, &chunk{spare: make([]bool, 0, 64)})
	}
	last := p.chunks[len(p.chunks)-1]
	switch r.Kind {
	case flow.RecordStart:
		if r.More > 0 {
			break // it stands for flows whose ends say nothing of their starts
		}
		if p.starts == nil {
			p.starts = make(map[uint64]startedAt)
		}
		p.starts[r.Flow.ID] = startedAt{last, len(last.spare)}
	case flow.RecordEnd:
		if s, ok := p.starts[r.Flow.ID]; ok {
			s.chunk.spare[s.i] = true
			s.chunk.kept--
			p.kept--
			delete(p.starts, r.Flow.ID)
		}
	}
	p.open.Add(r)
	p.marks.add(r)
	last.spare = append(last.spare, false)
	last.kept++
	p.kept++
	if len(last.spare) == chunkRecords || p.open.Size() >= chunkSize {
		p.seal(c)
	}
}

// seal ends the last chunk.
func (p *pending) seal(c *convert.Converter) {
	last := p.chunks[len(p.chunks)-1]
	last.records, last.keys = p.open.Seal(), p.marks.take(c)
}

// full tells whether it is time to write.
func (p *pending) full() bool {
	return len(p.chunks) == maxChunks && p.chunks[maxChunks-1].records != nil
}

// take gives what waits and starts anew.
func (p *pending) take(c *convert.Converter) []*chunk {
	if p.open.Len() > 0 {
		p.seal(c)
	}
	chunks := p.chunks
	clear(p.starts)
	p.chunks, p.kept = nil, 0
	return chunks
}

// view gives what waits and leaves it; the result may be kept.
func (p *pending) view() (chunks []chunk) {
	for _, c := range p.chunks {
		v := chunk{records: c.records, spare: slices.Clone(c.spare), kept: c.kept}
		if v.records == nil {
			v.records = p.open.View()
		}
		chunks = append(chunks, v)
	}
	return chunks
}

package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

var _ hubble.Past = (*Store)(nil)

// Flows yields the flows that q asks for in the order of their arrival, or the
// newest first, until yield returns false. It holds one block at a time, and no
// lock while it yields: what is deleted meanwhile is left out. A block that cannot
// be read is left out and counted.
func (s *Store) Flows(ctx context.Context, q hubble.PastQuery, yield func(hubble.PastPlace, *flowpb.Flow) bool) error {
	s.mu.Lock()
	last := s.last
	wait := s.pending.view()
	s.mu.Unlock()
	p := past{PastQuery: q, sought: newSought(q.Filters), before: s.before, yield: yield}
	ids, err := s.blocks(ctx, &p, last)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	// What waits has the numbers that its chunks will have as blocks.
	n := len(ids) + len(wait)
	for i := range n {
		if q.Newest {
			i = n - 1 - i
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var more bool
		if w := i - len(ids); w >= 0 {
			more = p.records(ctx, last+1+int64(w), wait[w].records, wait[w].spare, convert.New(s.cfg.NodeName, s.cfg.Version))
		} else {
			records, conv, err := s.block(ctx, ids[i])
			if err != nil {
				return fmt.Errorf("history: %w", err)
			}
			more = records == nil || p.records(ctx, ids[i], records, nil, conv)
		}
		if !more {
			return ctx.Err()
		}
	}
	return nil
}

// past is one query at work.
type past struct {
	hubble.PastQuery
	sought sought
	before int64 // the last block of earlier runs
	yield  func(hubble.PastPlace, *flowpb.Flow) bool
}

// records yields those of a block that are asked for. It tells whether more is wanted.
func (p *past) records(ctx context.Context, block int64, b *pack.Batch, spare []bool, c *convert.Converter) bool {
	var r flow.Record
	place := hubble.PastPlace{Block: block}
	step := 1
	if p.Newest {
		place.Index, step = b.Len()-1, -1
		for _, is := range spare {
			if is {
				place.Index--
			}
		}
	}
	for i := range b.Len() {
		if p.Newest {
			i = b.Len() - 1 - i
		}
		if spare != nil && spare[i] {
			continue
		}
		if b.At(i, &r); p.asked(place, r.Time) && p.sought.holds(&r, c) {
			f := c.Flow(&r)
			c.Extend(f, &r)
			if !p.yield(place, f) || ctx.Err() != nil {
				return false
			}
		}
		place.Index += step
	}
	return true
}

// asked tells whether p asks for what is at a place.
func (p *past) asked(place hubble.PastPlace, at int64) bool {
	return at >= p.Since && at <= p.Until && (place.Block <= p.before || at <= p.Present) && !place.Before(p.From)
}

// blocks are those that may hold what p asks for, up to last, in the order of their
// arrival.
func (s *Store) blocks(ctx context.Context, p *past, last int64) ([]int64, error) {
	where := []string{"last >= ?", "first <= ?", "id >= ?", "id <= ?", "(id <= ? OR first <= ?)"}
	args := []any{p.Since, p.Until, p.From.Block, last, p.before, p.Present}
	if c, values := p.sought.where(); c != "" {
		where = append(where, c)
		args = append(args, values...)
	}
	return scanIDs(s.read.QueryContext(ctx, "SELECT id FROM blocks WHERE "+strings.Join(where, " AND ")+" ORDER BY id", args...))
}

// block reads one; nil where it was deleted meanwhile, or cannot be read.
func (s *Store) block(ctx context.Context, id int64) (*pack.Batch, *convert.Converter, error) {
	var body []byte
	var n uint64
	err := s.read.QueryRowContext(ctx, "SELECT flows, body FROM blocks WHERE id = ?", id).Scan(&n, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	records, conv, err := unpack(body)
	if err != nil {
		s.lost(lossUnreadable, n)
		s.cfg.Logger.Warn("a block of the history cannot be read", "block", id, "flows", n, "error", err)
		return nil, nil, nil
	}
	return records, conv, nil
}

package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
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
	ids, err := s.blocks(ctx, q, last)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if q.Newest {
		slices.Reverse(ids)
		if !s.yieldWaiting(ctx, q, last, &wait, yield) {
			return ctx.Err()
		}
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		flows, err := s.block(ctx, id)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		if !s.yieldBlock(q, id, flows, yield) {
			return nil
		}
	}
	if !q.Newest {
		s.yieldWaiting(ctx, q, last, &wait, yield)
	}
	return ctx.Err()
}

// yieldBlock yields the flows of a block that q asks for. It tells whether more is
// wanted.
func (s *Store) yieldBlock(q hubble.PastQuery, id int64, flows []*flowpb.Flow, yield func(hubble.PastPlace, *flowpb.Flow) bool) bool {
	for i := range flows {
		if q.Newest {
			i = len(flows) - 1 - i
		}
		place := hubble.PastPlace{Block: id, Index: i}
		if s.asked(q, place, flows[i].GetTime().AsTime().UnixNano()) && !yield(place, flows[i]) {
			return false
		}
	}
	return true
}

// yieldWaiting yields what is not written yet, at the places that it will have in the
// blocks behind last.
func (s *Store) yieldWaiting(ctx context.Context, q hubble.PastQuery, last int64, w *waiting, yield func(hubble.PastPlace, *flowpb.Flow) bool) bool {
	c := convert.New(s.cfg.NodeName, s.cfg.Version)
	return w.each(q.Newest, func(i int, r *flow.Record) bool {
		place := hubble.PastPlace{Block: last + 1 + int64(i/blockFlows), Index: i % blockFlows}
		if !s.asked(q, place, r.Time) {
			return ctx.Err() == nil
		}
		f := c.Flow(r)
		c.Extend(f, r)
		return yield(place, f) && ctx.Err() == nil
	})
}

// asked tells whether q asks for what is at a place.
func (s *Store) asked(q hubble.PastQuery, place hubble.PastPlace, at int64) bool {
	return at >= q.Since && at <= q.Until && (place.Block <= s.before || at <= q.Present) && !place.Before(q.From)
}

// blocks are those that may hold what q asks for, up to last, in the order of their
// arrival.
func (s *Store) blocks(ctx context.Context, q hubble.PastQuery, last int64) ([]int64, error) {
	where := []string{"last >= ?", "first <= ?", "id >= ?", "id <= ?", "(id <= ? OR first <= ?)"}
	args := []any{q.Since, q.Until, q.From.Block, last, s.before, q.Present}
	if c, values := candidates(q.Filters); c != "" {
		where = append(where, c)
		args = append(args, values...)
	}
	return scanIDs(s.read.QueryContext(ctx, "SELECT id FROM blocks WHERE "+strings.Join(where, " AND ")+" ORDER BY id", args...))
}

// block reads one; nil where it was deleted meanwhile, or cannot be read.
func (s *Store) block(ctx context.Context, id int64) ([]*flowpb.Flow, error) {
	var body []byte
	var n uint64
	err := s.read.QueryRowContext(ctx, "SELECT flows, body FROM blocks WHERE id = ?", id).Scan(&n, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	flows, err := s.codec.unpack(body)
	if err != nil {
		s.lost(lossUnreadable, n)
		s.cfg.Logger.Warn("a block of the history cannot be read", "block", id, "flows", n, "error", err)
		return nil, nil
	}
	return flows, nil
}

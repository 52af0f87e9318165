package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/exporters/hubble"
)

var _ hubble.Past = (*Store)(nil)

// openBlock is the place of the block that is not written yet.
const openBlock = math.MaxInt64

// Flows yields the flows that q asks for in the order of their arrival, or the
// newest first, until yield returns false. It holds one block at a time, and no
// lock while it yields: what is deleted meanwhile is left out. A block that cannot
// be read is left out and counted.
func (s *Store) Flows(ctx context.Context, q hubble.PastQuery, yield func(hubble.PastPlace, *flowpb.Flow) bool) error {
	s.mu.Lock()
	last := s.last
	open := slices.Clone(s.open.raw)
	s.mu.Unlock()
	ids, err := s.blocks(ctx, q, last)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if len(open) > 0 {
		ids = append(ids, openBlock)
	}
	if q.Newest {
		slices.Reverse(ids)
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		var flows []*flowpb.Flow
		if id == openBlock {
			flows, err = parseFlows(open)
		} else {
			flows, err = s.block(ctx, id)
		}
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		if !s.yieldBlock(q, id, flows, yield) {
			return nil
		}
	}
	return nil
}

// yieldBlock yields the flows of a block that q asks for.
func (s *Store) yieldBlock(q hubble.PastQuery, id int64, flows []*flowpb.Flow, yield func(hubble.PastPlace, *flowpb.Flow) bool) bool {
	for i := range flows {
		if q.Newest {
			i = len(flows) - 1 - i
		}
		at := flows[i].GetTime().AsTime().UnixNano()
		place := hubble.PastPlace{Block: id, Index: i}
		if at < q.Since || at > q.Until || id > s.before && at > q.Present || place.Before(q.From) {
			continue
		}
		if !yield(place, flows[i]) {
			return false
		}
	}
	return true
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

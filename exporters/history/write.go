package history

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// logEvery is how often the same failure is logged.
const logEvery = time.Minute

// flush writes what was counted since the last time and, if told so, the records that
// wait. Those that cannot be written are lost, so that memory stays bounded; numbers
// are kept for the next time.
func (s *Store) flush(ctx context.Context, records bool) {
	// What is being written when weir stops shall still be written.
	ctx = context.WithoutCancel(ctx)
	var blocks []packed
	if records {
		blocks = s.packPending()
	}
	err := s.write(ctx, blocks)
	if full(err) {
		blocks, err = s.squeeze(ctx, blocks)
	}
	if err != nil {
		flows := 0
		for _, b := range blocks {
			flows += b.flows
		}
		s.lost(lossWrite, uint64(flows))
		s.warn("flows or numbers could not be kept", flows, err)
	}
	s.red.change = time.Time{}
}

// packPending makes blocks of the records that wait, which wait no more.
func (s *Store) packPending() (blocks []packed) {
	w := s.pending.take()
	w.each(false, func(_ int, r *flow.Record) bool {
		if err := s.open.add(r.Time, s.convert.Briefly(r)); err != nil {
			s.lost(lossEncode, 1)
			return true
		}
		if s.open.flows == blockFlows {
			blocks = append(blocks, s.open.pack(s.codec))
		}
		return true
	})
	if s.open.flows > 0 {
		blocks = append(blocks, s.open.pack(s.codec))
	}
	return blocks
}

// squeeze writes one block after another, each in the room that older ones give, and
// gives those that find none with the error of the last.
func (s *Store) squeeze(ctx context.Context, blocks []packed) (left []packed, err error) {
	for i := range max(1, len(blocks)) { // without blocks there are numbers
		part := blocks[min(i, len(blocks)):min(i+1, len(blocks))]
		e := s.write(ctx, part)
		if full(e) && s.makeRoom(ctx) == nil {
			e = s.write(ctx, part)
		}
		if e != nil {
			left, err = append(left, part...), e
		}
	}
	return left, err
}

// makeRoom is for when the disk is full, or the bound was met before the retention
// had its turn: the log gives back what it holds, and the oldest blocks give their
// room within the file.
func (s *Store) makeRoom(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	return s.shrink(ctx, retainStep)
}

// write writes blocks and what was counted in one transaction.
func (s *Store) write(ctx context.Context, blocks []packed) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := writeBlocks(ctx, tx, s.last, blocks); err != nil {
		return err
	}
	if err := s.red.write(ctx, tx); err != nil {
		return err
	}
	if err := s.watch.write(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.last += int64(len(blocks))
	s.red.written(s.cfg.Now())
	s.watch.written()
	return nil
}

// writeBlocks gives the blocks the numbers behind last.
func writeBlocks(ctx context.Context, tx *sql.Tx, last int64, blocks []packed) error {
	if len(blocks) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO blocks (id, first, last, flows, body) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	var index []indexRow
	for i, b := range blocks {
		id := last + 1 + int64(i)
		if _, err := insert.ExecContext(ctx, id, b.first, b.last, b.flows, b.body); err != nil {
			return err
		}
		for _, k := range b.keys {
			index = append(index, indexRow{k, id})
		}
	}
	return writeIndex(ctx, tx, index)
}

// warn logs the first of many failures, and then one in logEvery.
func (s *Store) warn(what string, flows int, err error) {
	if now := s.cfg.Now(); now.Sub(s.complain) >= logEvery {
		s.complain = now
		s.cfg.Logger.Warn(what, "flows", flows, "file", s.cfg.Path, "error", explain(err))
	}
}

// explain adds what to do.
func explain(err error) error {
	if full(err) {
		return errors.Join(err, errors.New("the disk is full, or --history-size is too small: flows are seen and served, but not kept"))
	}
	return err
}

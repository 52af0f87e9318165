package history

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// logEvery is how often the same failure is logged.
const logEvery = time.Minute

// flush writes what was counted since the last time and, if told so, the records that
// wait. Those that cannot be written are lost, so that memory stays bounded; numbers
// are kept for the next time.
func (s *Store) flush(ctx context.Context, records bool) {
	// What is being written when weir stops shall still be written.
	ctx = context.WithoutCancel(ctx)
	var blocks []block
	if records {
		blocks = s.packPending()
	}
	s.lost(lossOperations, s.red.settle())
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

// packPending makes blocks of the records that wait, which wait no more. Each chunk has
// the number that who asked for what waits was told.
func (s *Store) packPending() (blocks []block) {
	m := blockMaker{node: s.cfg.NodeName, version: s.cfg.Version}
	for _, c := range s.pending.take(s.convert) {
		s.last++
		if c.kept == 0 {
			continue
		}
		b, err := m.block(s.last, c)
		if err != nil {
			s.lost(lossEncode, uint64(c.kept))
			s.warn("flows could not be kept", c.kept, err)
			continue
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// squeezeSteps is how often older blocks give room for one, twice as many each time:
// they may be much smaller.
const squeezeSteps = 8

// squeeze writes one block after another, each in the room that older ones give, and
// gives those that find none with the error of the last.
func (s *Store) squeeze(ctx context.Context, blocks []block) (left []block, err error) {
	for i := range max(1, len(blocks)) { // without blocks there are numbers
		part := blocks[min(i, len(blocks)):min(i+1, len(blocks))]
		e := s.write(ctx, part)
		for n := range squeezeSteps {
			if !full(e) || s.makeRoom(ctx, retainStep<<n) != nil {
				break
			}
			e = s.write(ctx, part)
		}
		if e != nil {
			left, err = append(left, part...), e
		}
	}
	return left, err
}

// makeRoom is for when the disk is full, or the bound was met before the retention
// had its turn: the log gives back what it holds, and the n oldest blocks give their
// room within the file.
func (s *Store) makeRoom(ctx context.Context, n int) error {
	if _, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	return s.shrink(ctx, n)
}

// write writes blocks and what was counted in one transaction.
func (s *Store) write(ctx context.Context, blocks []block) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := writeBlocks(ctx, tx, blocks); err != nil {
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
	s.red.written(s.cfg.Now())
	s.watch.written()
	return nil
}

func writeBlocks(ctx context.Context, tx *sql.Tx, blocks []block) error {
	if len(blocks) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO blocks (id, first, last, flows, keys, body) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	var index []indexRow
	for _, b := range blocks {
		if _, err := insert.ExecContext(ctx, b.id, b.first, b.last, b.flows, packKeys(b.keys), b.body); err != nil {
			return err
		}
		for _, k := range b.keys {
			index = append(index, indexRow{k, b.id})
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

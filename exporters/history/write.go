package history

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// logEvery is how often the same failure is logged.
const logEvery = time.Minute

// flush writes what was counted since the last time and, if told so, the open block.
// A block that cannot be written is lost, so that memory stays bounded; numbers are
// kept for the next time.
func (s *Store) flush(ctx context.Context, block bool) {
	// What is being written when weir stops shall still be written.
	ctx = context.WithoutCancel(ctx)
	err := s.write(ctx, block)
	if full(err) && s.makeRoom(ctx) == nil {
		err = s.write(ctx, block)
	}
	if err != nil {
		flows := 0
		if block {
			flows = s.open.flows
		}
		s.lost(lossWrite, uint64(flows))
		s.warn("flows or numbers could not be kept", flows, err)
	}
	if block {
		s.open.reset()
	}
	s.red.flushed(s.cfg.Now(), err == nil)
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

func (s *Store) write(ctx context.Context, block bool) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	id := s.last
	if block && s.open.flows > 0 {
		id++
		if err := s.writeBlock(ctx, tx, id); err != nil {
			return err
		}
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
	s.last = id
	s.watch.written()
	return nil
}

func (s *Store) writeBlock(ctx context.Context, tx *sql.Tx, id int64) error {
	b := &s.open
	_, err := tx.ExecContext(ctx, "INSERT INTO blocks (id, first, last, flows, body) VALUES (?, ?, ?, ?, ?)",
		id, b.first, b.last, b.flows, s.codec.pack(b.raw))
	if err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO keys (key, block) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for k := range b.keys {
		if _, err := insert.ExecContext(ctx, []byte(k), id); err != nil {
			return err
		}
	}
	return nil
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

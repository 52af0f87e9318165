package history

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

const (
	pageSize = 4096
	// retainStep is how many blocks are deleted in one transaction: so short that
	// nobody waits for it.
	retainStep = 8
)

// retain deletes what is older than the bound, and the oldest where the file is
// larger than its bound, some steps at a time.
func (s *Store) retain(ctx context.Context, now time.Time) error {
	const steps = 64 // some seconds' writing at the most that a host makes
	old := now.Add(-s.cfg.Age)
	for range steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more, err := s.retainOnce(ctx, old)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *Store) retainOnce(ctx context.Context, old time.Time) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, err := s.used(ctx)
	if err != nil {
		return false, err
	}
	if used > s.cfg.Size-walLimit-s.cfg.Size/16 {
		if err := s.shrink(ctx, retainStep); err != nil {
			return false, err
		}
		return true, s.vacuum(ctx)
	}
	n, err := s.delete(ctx, "SELECT id FROM blocks WHERE last < ? ORDER BY last LIMIT ?", old.UnixNano(), retainStep)
	if err != nil {
		return false, err
	}
	if err := s.deleteMinutes(ctx, old.Unix()/60); err != nil {
		return false, err
	}
	return n == retainStep, s.vacuum(ctx)
}

// used is the bytes of the file that hold something, and those of its log.
func (s *Store) used(ctx context.Context) (int64, error) {
	var pages, free int64
	err := s.db.QueryRowContext(ctx, "SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count)").Scan(&pages, &free)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(s.cfg.Path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return (pages - free) * pageSize, nil
	}
	if err != nil {
		return 0, err
	}
	return (pages-free)*pageSize + max(0, info.Size()-walLimit), nil
}

// shrink deletes the n oldest blocks, and the minutes that are as old. Where there
// are no blocks it deletes the oldest minutes.
func (s *Store) shrink(ctx context.Context, n int) error {
	deleted, err := s.delete(ctx, "SELECT id FROM blocks ORDER BY last LIMIT ?", n)
	if err != nil {
		return err
	}
	oldest := "SELECT min(first) / 60000000000 FROM blocks"
	if deleted == 0 {
		oldest = "SELECT min(minute) + 10 FROM (SELECT min(minute) AS minute FROM " + strings.Join(minuteTables, " UNION ALL SELECT min(minute) FROM ") + ")"
	}
	var minute sql.NullInt64
	if err := s.db.QueryRowContext(ctx, oldest).Scan(&minute); err != nil || !minute.Valid {
		return err
	}
	return s.deleteMinutes(ctx, minute.Int64)
}

// deleteMinutes deletes the numbers of the minutes before one.
func (s *Store) deleteMinutes(ctx context.Context, before int64) error {
	for _, table := range minuteTables {
		if _, err := s.db.ExecContext(ctx, "DELETE FROM "+table+" WHERE minute < ?", before); err != nil {
			return err
		}
	}
	return nil
}

// delete deletes the blocks that a query names.
func (s *Store) delete(ctx context.Context, query string, args ...any) (n int, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	ids, err := scanIDs(tx.QueryContext(ctx, query, args...))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, id := range ids {
		if err := deleteBlock(ctx, tx, id); err != nil {
			return 0, err
		}
	}
	return len(ids), tx.Commit()
}

// deleteBlock takes a block and what the index says of it.
func deleteBlock(ctx context.Context, tx *sql.Tx, id int64) error {
	var packed []byte
	if err := tx.QueryRowContext(ctx, "DELETE FROM blocks WHERE id = ? RETURNING keys", id).Scan(&packed); err != nil {
		return err
	}
	keys, err := unpackKeys(packed)
	if err != nil { // then by looking at all of the index
		_, err = tx.ExecContext(ctx, "DELETE FROM keys WHERE block = ?", id)
		return err
	}
	del, err := tx.PrepareContext(ctx, "DELETE FROM keys WHERE key = ? AND block = ?")
	if err != nil {
		return err
	}
	defer del.Close()
	for _, k := range keys {
		if _, err := del.ExecContext(ctx, k, id); err != nil {
			return err
		}
	}
	return nil
}

// vacuum gives free pages back to the disk, so many that nobody waits for it.
func (s *Store) vacuum(ctx context.Context) error {
	// The pragma gives a row for each page; all must be read for it to go on.
	rows, err := s.db.QueryContext(ctx, "PRAGMA incremental_vacuum(512)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func scanIDs(rows *sql.Rows, err error) (ids []int64, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

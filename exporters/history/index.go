package history

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
)

// indexRows is how many rows of the index one statement writes: to run one costs as
// much as to write several rows.
const indexRows = 32

// indexRow says that a block has a flow with a key.
type indexRow struct {
	key   string
	block int64
}

// writeIndex writes rows in the order of the table, whatever theirs is: so each page
// is looked for and written once.
func writeIndex(ctx context.Context, tx *sql.Tx, rows []indexRow) error {
	slices.SortFunc(rows, func(a, b indexRow) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.block, b.block))
	})
	whole := len(rows) / indexRows * indexRows
	if err := insertRows(ctx, tx, rows[:whole], indexRows); err != nil {
		return err
	}
	return insertRows(ctx, tx, rows[whole:], 1)
}

// insertRows writes n rows with each statement; n divides their number.
func insertRows(ctx context.Context, tx *sql.Tx, rows []indexRow, n int) error {
	if len(rows) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO keys (key, block) VALUES (?, ?)"+strings.Repeat(", (?, ?)", n-1))
	if err != nil {
		return err
	}
	defer insert.Close()
	args := make([]any, 0, 2*n)
	for part := range slices.Chunk(rows, n) {
		args = args[:0]
		for _, r := range part {
			args = append(args, []byte(r.key), r.block)
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

package history

import (
	"context"
	"database/sql"
	"time"
)

// watch says in the file in which minutes somebody looked, and how much was lost in
// them: a minute without traffic can then be told from one that nobody saw.
type watch struct {
	tried   time.Time // when the last minute was noted, written or not
	minute  int64     // the last one that needs nothing more
	lost    uint64    // counted until then
	pending bool      // the following is to be written
	next    int64
	now     uint64 // lost until then
}

// due tells whether a minute has begun that is not in the file.
func (w *watch) due(now time.Time) bool {
	return now.Unix()/60 != w.minute && now.Sub(w.tried).Abs() >= flushAfter
}

// note takes what there is to say of a minute.
func (w *watch) note(now time.Time, lost uint64, watching bool) {
	w.tried = now
	if !watching {
		w.minute, w.lost = now.Unix()/60, lost
		return
	}
	w.pending, w.next, w.now = true, now.Unix()/60, max(lost, w.lost)
}

func (w *watch) write(ctx context.Context, tx *sql.Tx) error {
	if !w.pending {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO watched VALUES (?, ?) ON CONFLICT DO UPDATE SET lost = lost + excluded.lost", w.next, int64(w.now-w.lost))
	return err
}

func (w *watch) written() {
	if w.pending {
		w.minute, w.lost, w.pending = w.next, w.now, false
	}
}

package history

import (
	"context"
	"fmt"
	"testing"
)

// MaxPending is how many records wait at most.
const MaxPending = maxChunks * chunkRecords

// Flush writes what waits, as time does.
func (s *Store) Flush(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(ctx, true)
}

// MakeOlder makes a file as the last weir did that kept flows as messages.
func MakeOlder(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := append(migrations[:recordsSince-1:recordsSince-1], fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, recordsSince-1))
	for _, s := range append(all, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

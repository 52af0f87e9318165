package history

import "context"

// MaxPending is how many records wait at most.
const MaxPending = maxPending

// Flush writes what waits, as time does.
func (s *Store) Flush(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(ctx, true)
}

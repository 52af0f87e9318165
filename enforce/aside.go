package enforce

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// SetAside is a state.json that could not be understood, and where it is now. Moved
// back, or removed, it is forgotten.
type SetAside struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func (a *SetAside) Error() string {
	return fmt.Sprintf("the account of policies was damaged and is set aside as %s: %s", a.Path, a.Reason)
}

func (s *store) statePath() string { return filepath.Join(s.dir, "state.json") }

// load reads the state. One that is not what save has written is moved out of the
// way, never overwritten. An error is one of the file system.
func (s *store) load(now time.Time) (*state, error) {
	st, err := readState(s.statePath())
	var system *fs.PathError
	switch {
	case err == nil:
		return st, nil
	case errors.As(err, &system):
		if errors.Is(err, fs.ErrNotExist) {
			return &state{Version: stateVersion}, nil
		}
		return nil, err
	}
	aside := fmt.Sprintf("%s.damaged-%s", s.statePath(), now.UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(s.statePath(), aside); err != nil {
		return nil, fmt.Errorf("set aside: %w", err)
	}
	return &state{Version: stateVersion}, nil
}

// aside is the newest file that was set aside, by this daemon or an earlier one; nil
// where there is none.
func (s *store) aside() *SetAside {
	all, _ := filepath.Glob(s.statePath() + ".damaged-*") // the pattern is not malformed
	if len(all) == 0 {
		return nil
	}
	a := &SetAside{Path: slices.Max(all), Reason: "it can be read now"}
	if _, err := readState(a.Path); err != nil {
		a.Reason = err.Error()
	}
	return a
}

func readState(path string) (*state, error) {
	data, err := readBounded(path, maxState)
	if err != nil {
		return nil, err
	}
	return parseState(data)
}

// Unheld is why nothing is enforced although something should be; nil where nothing
// should, and where what was applied before goes on.
func (m *Manager) Unheld() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.applied != nil || m.cfg.Pinned() {
		return nil
	}
	if m.failure != nil {
		return m.failure
	}
	if a := m.store.aside(); a != nil && len(m.state.current().Policies) == 0 {
		return a
	}
	return nil
}

// Charged tells whether there is something to enforce or to audit: policies that
// are kept, or what an earlier daemon left in the kernel.
func (m *Manager) Charged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.state.current().Policies) > 0 || m.cfg.Pinned()
}

package identity

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// RuntimeStatus says how one source of identity does.
type RuntimeStatus struct {
	Name      string // docker, podman, cri, containerd, conntrack, cgroup
	Socket    string // path of a runtime's socket; the mount point for cgroup
	Present   bool   // the socket is there
	Connected bool   // it answers, and tells what changes
	Error     string // why not, or the last failure; empty when there was none
}

// statusBoard holds the statuses. It is safe for concurrent use.
type statusBoard struct {
	mu   sync.Mutex
	rows map[[2]string]RuntimeStatus
}

func (b *statusBoard) set(s RuntimeStatus) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = map[[2]string]RuntimeStatus{}
	}
	key := [2]string{s.Name, s.Socket}
	changed = b.rows[key] != s
	b.rows[key] = s
	return changed
}

func (b *statusBoard) all() []RuntimeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]RuntimeStatus, 0, len(b.rows))
	for _, s := range b.rows {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y RuntimeStatus) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Socket, y.Socket))
	})
	return out
}

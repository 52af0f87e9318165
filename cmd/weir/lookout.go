package main

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// lookout finds cgroups by looking, where no program tells of them: without it the
// resolver would find a container that starts only at its next survey. It is used by
// one goroutine.
type lookout struct {
	root string // where cgroup v2 is mounted
	tell func(*flow.Event)
	seen map[uint64]bool
}

// lookEvery is how often it looks: a container's name is asked for soon enough.
const lookEvery = 500 * time.Millisecond

// look tells of cgroups that came since it looked before.
func (l *lookout) look() {
	now := make(map[uint64]bool, len(l.seen)) // who is gone is forgotten
	// A cgroup that goes away while it is looked at is no fault.
	_ = filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		now[st.Ino] = true
		if !l.seen[st.Ino] {
			l.tell(&flow.Event{Kind: flow.KindCgroupCreated, Time: time.Now().UnixNano(), Cgroup: &flow.Cgroup{
				ID: st.Ino, Path: "/" + strings.TrimPrefix(strings.TrimPrefix(path, l.root), "/"),
			}})
		}
		return nil
	})
	for id := range l.seen {
		if !now[id] {
			l.tell(&flow.Event{Kind: flow.KindCgroupRemoved, Time: time.Now().UnixNano(), Cgroup: &flow.Cgroup{ID: id}})
		}
	}
	l.seen = now
}

package enforcer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/seed79351815/weir/enforce/kernel"
)

// containerDir is what every runtime calls a container's cgroup; c/enforce_arrival.h.
var containerDir = regexp.MustCompile(`([0-9a-f]{64})(\.scope)?$`)

// places are the host's cgroups with the members that a plan makes of them.
type places struct {
	members    map[uint64]enforceMember
	seen       map[uint64]bool // every cgroup there is, also those without a place
	containers map[enforceContainerId]enforceMember
	before     map[uint64]enforceMember // who had a place when the survey began
}

// place goes through all cgroups below root and gives each its own workload's
// member, else that of the one above it. Containers that are not in the plan get
// what newcomers get. Paths that vanish on the way are left out.
func place(root string, plan *kernel.Plan, slot func(set int) uint32, newcomer enforceMember) (*places, error) {
	p := &places{members: map[uint64]enforceMember{}, seen: map[uint64]bool{}, containers: map[enforceContainerId]enforceMember{}}
	above := map[string]*enforceMember{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			if os.IsNotExist(err) || err == nil {
				return nil
			}
			return err
		}
		var st syscall.Stat_t
		if syscall.Stat(path, &st) != nil {
			return nil
		}
		p.seen[st.Ino] = true
		parent := above[filepath.Dir(path)]
		m := memberOf(plan, st.Ino, slot)
		container := containerDir.FindStringSubmatch(d.Name())
		switch {
		case m != nil:
			if container != nil {
				m.Flags |= uint32(enforceMemberFlagMEMBER_CONTAINER)
				p.containers[containerKey(container[1])] = *m
			}
			m.Owner = st.Ino
		case parent != nil && (container == nil || parent.Flags&uint32(enforceMemberFlagMEMBER_CONTAINER) != 0):
			inherited := *parent
			inherited.Flags |= uint32(enforceMemberFlagMEMBER_INHERITED)
			m = &inherited
		case container != nil && newcomer != (enforceMember{}):
			fresh := newcomer
			fresh.Owner = st.Ino
			m = &fresh
		default:
			return nil
		}
		above[path] = m
		p.members[st.Ino] = *m
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cgroups below %s: %w", root, err)
	}
	for id, key := range plan.Containers {
		if m := memberOf(plan, key, slot); m != nil && len(id) == 64 {
			m.Flags |= uint32(enforceMemberFlagMEMBER_CONTAINER)
			p.containers[containerKey(id)] = *m
		}
	}
	return p, nil
}

// stay counts those that have a place once the plan is in place.
func (p *places) stay(hold bool) int {
	n := len(p.members)
	for id, m := range p.before {
		if _, counted := p.members[id]; !counted && !p.leaves(id, m, hold) {
			n++
		}
	}
	return n
}

// containerKey is the kernel's key of an id of 64 digits.
func containerKey(id string) enforceContainerId { return enforceContainerId{Hex: [64]byte([]byte(id))} }

func memberOf(plan *kernel.Plan, key uint64, slot func(set int) uint32) *enforceMember {
	w, ok := plan.Tables.Workloads[key]
	if !ok {
		return nil
	}
	m := &enforceMember{Identity: uint32(w.Identity), Set: slot(w.Set)}
	if plan.OwnNetwork[key] {
		m.Flags |= uint32(enforceMemberFlagMEMBER_OWN_NETWORK)
	}
	return m
}

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

// placed is a cgroup of the host with the member that its policies make of it.
type placed struct {
	id     uint64
	member enforceMember
}

// place goes through all cgroups below root and gives each its own workload's
// member, else that of the one above it. Containers that are not in the plan get
// what newcomers get. Paths that vanish on the way are left out.
func place(root string, plan *kernel.Plan, slot func(set int) uint32, newcomer enforceMember) ([]placed, map[[64]byte]enforceMember, error) {
	var all []placed
	containers := map[[64]byte]enforceMember{}
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
		parent := above[filepath.Dir(path)]
		m := memberOf(plan, st.Ino, slot)
		container := containerDir.FindStringSubmatch(d.Name())
		switch {
		case m != nil:
			if container != nil {
				m.Flags |= uint32(enforceMemberFlagMEMBER_CONTAINER)
				containers[[64]byte([]byte(container[1]))] = *m
			}
		case parent != nil && (container == nil || parent.Flags&uint32(enforceMemberFlagMEMBER_CONTAINER) != 0):
			inherited := *parent
			inherited.Flags |= uint32(enforceMemberFlagMEMBER_INHERITED)
			m = &inherited
		case container != nil && newcomer != (enforceMember{}):
			fresh := newcomer
			m = &fresh
		default:
			return nil
		}
		above[path] = m
		all = append(all, placed{st.Ino, *m})
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cgroups below %s: %w", root, err)
	}
	for id, key := range plan.Containers {
		if m := memberOf(plan, key, slot); m != nil && len(id) == 64 {
			m.Flags |= uint32(enforceMemberFlagMEMBER_CONTAINER)
			containers[[64]byte([]byte(id))] = *m
		}
	}
	return all, containers, nil
}

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

package enforcer

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/kernel"
)

// admit gives every cgroup its member. Those that came while the plan was being put
// in place have theirs from the kernel's hand, and keep it. Who leaves goes first,
// so that there is room.
func (e *Enforcer) admit(plan *kernel.Plan, p *places) error {
	if err := e.containers.put(p.containers); err != nil {
		return fmt.Errorf("put a container: %w", err)
	}
	have, err := e.members()
	if err != nil {
		return err
	}
	for id, m := range have {
		if !p.leaves(id, m, plan.Hold) {
			continue
		}
		if err := e.maps["members"].Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("take out cgroup %d: %w", id, err)
		}
	}
	for id, m := range p.members {
		if have[id] == m {
			continue
		}
		if err := e.maps["members"].Put(id, &m); err != nil {
			return fmt.Errorf("cgroup %d: %w", id, err)
		}
	}
	if err := e.containers.forget(p.containers); err != nil {
		return fmt.Errorf("take out a container: %w", err)
	}
	return nil
}

// leaves tells whether a cgroup has a place no longer: it is gone, or it is there
// and nobody's.
func (p *places) leaves(id uint64, m enforceMember, hold bool) bool {
	if _, stays := p.members[id]; stays {
		return false
	}
	if _, older := p.before[id]; older && !p.seen[id] {
		return true
	}
	if m.Set == uint32(enforceRuleSetSET_HELD) {
		return !hold
	}
	return p.seen[id]
}

// members is the table of this moment, but for what changes while it is read.
func (e *Enforcer) members() (map[uint64]enforceMember, error) {
	have := map[uint64]enforceMember{}
	if err := read(e.maps["members"], func(id uint64, m enforceMember) { have[id] = m }); err != nil {
		return nil, fmt.Errorf("read the members: %w", err)
	}
	return have, nil
}

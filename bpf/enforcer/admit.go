package enforcer

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/kernel"
)

// admit gives every cgroup its member. Those that came while the plan was being put
// in place have theirs from the kernel's hand, and keep it.
func (e *Enforcer) admit(plan *kernel.Plan, p *places) error {
	if err := e.containers.put(p.containers); err != nil {
		return fmt.Errorf("put a container: %w", err)
	}
	have := map[uint64]enforceMember{}
	var id uint64
	var m enforceMember
	it := e.maps["members"].Iterate()
	for it.Next(&id, &m) {
		have[id] = m
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read the members: %w", err)
	}
	for id, m := range p.members {
		if have[id] == m {
			continue
		}
		if err := e.maps["members"].Put(id, &m); err != nil {
			return fmt.Errorf("cgroup %d: %w", id, err)
		}
	}
	for id, m := range have {
		_, stays := p.members[id]
		held := m.Set == uint32(enforceRuleSetSET_HELD)
		if stays || held && plan.Hold || !held && !p.seen[id] {
			continue
		}
		if err := e.maps["members"].Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("take out cgroup %d: %w", id, err)
		}
	}
	if err := e.containers.forget(p.containers); err != nil {
		return fmt.Errorf("take out a container: %w", err)
	}
	return nil
}

package enforcer

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
)

// tenant is a workload of a network namespace whose ingress is ruled.
type tenant struct {
	cgroup uint64
	ruling deviceRuling
}

// let takes a workload in; who is there already stays as it is.
func (ns *namespace) let(t tenant) {
	if !slices.ContainsFunc(ns.tenants, func(o tenant) bool { return o.cgroup == t.cgroup }) {
		ns.tenants = append(ns.tenants, t)
	}
}

// roll is what the kernel is told of the tenants: those first for whom something
// is enforced, so that one for whom all is only audited has no say over room. left
// is how many have none.
func roll(tenants []tenant) (out deviceTenants, left int) {
	slices.SortFunc(tenants, func(a, b tenant) int {
		return cmp.Or(-cmp.Compare(a.ruling, b.ruling), cmp.Compare(a.cgroup, b.cgroup))
	})
	for i, t := range tenants {
		if i == len(out.Cgroups) {
			left = len(tenants) - i
			if t.ruling == deviceRulingRULED_ENFORCED {
				out.More = 1
			}
			break
		}
		out.Cgroups[i] = t.cgroup
		out.Count++
	}
	return out, left
}

// isHosts tells whether a network namespace is the host's. What its kernel answers
// is the host's, and no workload's that shares it. The first process may be closed
// to who has not all of its capabilities; this one is in the host's namespace too.
func isHosts(ns *namespace) bool {
	for _, task := range []string{"1", "self"} {
		if host, ok := namespaceOf(task); ok && host.inode == ns.inode {
			return true
		}
	}
	return false
}

// enroll says to the kernel who is in a namespace. It tells of those that there is
// no room for.
func (e *Enforcer) enroll(ns *namespace) error {
	tenants, left := roll(ns.tenants)
	if err := e.maps["namespaces"].Put(uint32(ns.inode), &tenants); err != nil {
		return fmt.Errorf("say who is there: %w", err)
	}
	if left > 0 && tenants.More != 0 {
		return fmt.Errorf("%d workloads with rules of ingress share it, which is %d too many: all ICMP requests to it are refused", len(ns.tenants), left)
	}
	if left > 0 {
		return fmt.Errorf("%d workloads with rules of ingress share it: ICMP requests are not audited for %d of them", len(ns.tenants), left)
	}
	return nil
}

// disenroll forgets the namespaces that have no tenants any more.
func (e *Enforcer) disenroll(found []*namespace) error {
	stays := map[uint32]bool{}
	for _, ns := range found {
		if len(ns.tenants) > 0 {
			stays[uint32(ns.inode)] = true
		}
	}
	var key uint32
	var value deviceTenants
	var left []uint32
	it := e.maps["namespaces"].Iterate()
	for it.Next(&key, &value) {
		if !stays[key] {
			left = append(left, key)
		}
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read who is in which network namespace: %w", err)
	}
	for _, key := range left {
		if err := e.maps["namespaces"].Delete(key); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forget who was in network namespace %d: %w", key, err)
		}
	}
	return nil
}

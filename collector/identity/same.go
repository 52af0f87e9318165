package identity

import (
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// same tells whether two workloads say the same.
func same(a, b *flow.Workload) bool {
	return a.CgroupID == b.CgroupID && a.Cgroup == b.Cgroup && a.Runtime == b.Runtime && a.Container == b.Container &&
		a.Name == b.Name && a.Namespace == b.Namespace && a.Image == b.Image && a.Owner == b.Owner &&
		a.PID == b.PID && a.Pending == b.Pending && slices.Equal(a.Labels, b.Labels) && slices.Equal(a.Addrs, b.Addrs)
}

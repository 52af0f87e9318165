package enforcer

import "golang.org/x/sync/errgroup"

// sideBySide calls f for 0 to n-1, and returns the first error when all have
// returned. It is for changes of tables of tables: the kernel keeps whoever makes one
// until no program can be at what was there (maybe_wait_bpf_programs() in
// kernel/bpf/syscall.c), which is ten milliseconds and more. Those who wait at the same
// time wait for the same moment.
func sideBySide(n int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(64) // each takes a thread
	for i := range n {
		g.Go(func() error { return f(i) })
	}
	return g.Wait()
}

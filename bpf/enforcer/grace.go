package enforcer

import (
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sync/errgroup"
)

// atOnce bounds how many changes of tables of tables wait at the same time: each
// takes a thread.
const atOnce = 64

// placing is a table that gets a place in a table of tables.
type placing struct {
	tables *ebpf.Map
	at     uint32
	table  *ebpf.Map
}

// graces takes tables into use without waiting for the kernel. It keeps whoever
// changes a table of tables until no program can be at what was there before
// (maybe_wait_bpf_programs() in kernel/bpf/syscall.c), which is ten milliseconds and
// more, though programs find the new table at once.
type graces struct {
	waiting sync.WaitGroup
}

// put returns when programs find all of the tables. The caller may close them then.
// At an error some of them may be there.
func (g *graces) put(all []placing) error {
	failed := make(chan error, len(all))
	room := make(chan struct{}, atOnce)
	for _, p := range all {
		room <- struct{}{}
		g.waiting.Go(func() {
			if err := p.tables.Put(p.at, p.table); err != nil {
				failed <- err
			}
			<-room
		})
	}
	for _, p := range all {
		if err := p.there(failed); err != nil {
			g.wait() // whoever has not begun needs the table
			return err
		}
	}
	return nil
}

// there returns when the table is in its place, or at an error of one that is not.
func (p placing) there(failed <-chan error) error {
	info, err := p.table.Info()
	if err != nil {
		return fmt.Errorf("which table it is: %w", err)
	}
	want, _ := info.ID() // every kernel that has what programs need tells
	var found uint32
	for p.tables.Lookup(p.at, &found) != nil || ebpf.MapID(found) != want {
		select {
		case err := <-failed:
			return err
		case <-time.After(50 * time.Microsecond):
		}
	}
	return nil
}

// wait returns when the kernel has let go of all that put began.
func (g *graces) wait() { g.waiting.Wait() }

// sideBySide calls f for 0 to n-1, and returns the first error when all have
// returned. It is for changes of tables of tables that are waited for: those who
// wait at the same time wait for the same moment.
func sideBySide(n int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return f(i) })
	}
	return g.Wait()
}

package enforcer

import "fmt"

// Tidy empties the places of rules that no plan wants any more: what Apply put others
// beside, and what a daemon left that was ended. Apply does not wait for it, since it
// takes two of the kernel's grace periods, tens of milliseconds, where there is
// something to do; call it every second or so. What could not be done is tried again
// by the next call.
func (e *Enforcer) Tidy() error {
	left := e.sets.left()
	delete(left, e.regime.Everyone)
	for _, m := range e.containers.have {
		delete(left, m.Set)
	}
	if len(left) == 0 {
		return nil
	}
	// A program may just have read where its rules are, or be about to write that down
	// for a cgroup that came.
	if err := e.quiesce(); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	members, err := e.members()
	if err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	for _, m := range members {
		delete(left, m.Set)
	}
	if err := e.sets.empty(left, e.maps["sets"], e.maps["port_sets"]); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return nil
}

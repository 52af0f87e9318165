package enforce

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// A plan that the kernel took half of is taken back: what held before holds again.
func TestHalfAPlanIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		w.audit(webPolicy)
		w.kernel.half = errors.New("no memory")
		if _, err := w.Enforce("web", 0, false); err == nil {
			t.Error("half a plan is no error")
		}
		if w.denies() != policy.Denied {
			t.Fatal("nothing came of half a plan: the test shows nothing")
		}
		w.kernel.half = nil
		synctest.Wait()
		if w.denies() != policy.Audited {
			t.Errorf("half a plan is in the kernel: %v", w.denies())
		}
		w.kernel.half = errors.New("no memory")
		w.host.live = w.host.live[:1]
		w.host.changed()
		time.Sleep(2 * beat)
		if w.Status().Failure == "" {
			t.Error("nobody says that the plan does not hold")
		}
		before := w.kernel.applies
		time.Sleep(10 * beat)
		if n := w.kernel.applies - before; n < 5 || n > 15 {
			t.Errorf("in ten seconds %d attempts", n)
		}
		w.kernel.half = nil
		time.Sleep(2 * beat)
		if s := w.Status(); s.Failure != "" {
			t.Errorf("when there is memory again: %s", s.Failure)
		}
	})
}

// Cgroups for which there was no room get one with the same plan.
func TestHomelessCgroupsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		if w.Tables() != nil {
			t.Error("without policies there are no tables")
		}
		w.audit(webPolicy)
		before := w.kernel.applies
		w.kernel.tables = kernel.Tables{Homeless: 3, Shut: true, Fill: []kernel.Fill{{Table: "policy_cgroups", Entries: 8, Max: 8}}}
		time.Sleep(5 * beat)
		if w.kernel.applies != before+1 {
			t.Errorf("%d more plans were applied, want 1", w.kernel.applies-before)
		}
		if s := w.Status(); !s.Shut || s.Homeless != 3 {
			t.Errorf("status %+v", s)
		}
		if n := w.Lost()[flow.Loss{Stage: "kernel", Reason: "cgroup_table_full"}]; n != 3 {
			t.Errorf("lost %v", w.Lost())
		}
		if f := w.Tables(); len(f) != 1 || f[0] != (flow.TableFill{Name: "policy_cgroups", Entries: 8, Max: 8}) {
			t.Errorf("tables %+v", f)
		}
		w.kernel.tables.Shut = false
		time.Sleep(2 * lookEvery)
		if w.kernel.applies != before+1 {
			t.Errorf("with room for all: %d more plans, want 1", w.kernel.applies-before)
		}
	})
}

// What earlier plans left is taken out when nobody waits for a plan, and again where
// that failed.
func TestEarlierPlansAreTidiedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		w.audit(webPolicy)
		w.kernel.untidy = errors.New("no memory")
		w.host.live = w.host.live[:1]
		w.host.changed()
		time.Sleep(3 * beat)
		if w.kernel.old != 1 || w.kernel.tries < 2 {
			t.Errorf("%d plans left something, after %d tries", w.kernel.old, w.kernel.tries)
		}
		w.kernel.untidy = nil
		time.Sleep(2 * beat)
		if w.kernel.old != 0 {
			t.Error("what an earlier plan left is still there")
		}
	})
}

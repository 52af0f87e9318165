package enforce

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/enforce/policy"
)

// damage ends the manager, and ruins what it keeps.
func (w *world) damage(pattern string) {
	w.t.Helper()
	w.stop()
	all, err := filepath.Glob(filepath.Join(w.dir, pattern))
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%s: %v, %v", pattern, all, err)
	}
	if err := os.WriteFile(all[0], []byte("{"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestDamagedStateIsSetAsideAndWhatIsPinnedHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.audit(webPolicy)
		if _, err := w.Enforce("web", 0, false); err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(w.store.statePath())
		if err != nil {
			t.Fatal(err)
		}
		w.damage("state.json")
		for range 2 { // what one manager has set aside the next one tells too
			w.start()
			time.Sleep(time.Minute)
			s := w.Status()
			if s.SetAside == nil || !strings.Contains(s.SetAside.Reason, "state.json") || !s.Foreign || len(s.Policies) != 0 {
				t.Errorf("the status does not tell of it: %+v", s)
			}
			if w.denies() != policy.Denied || !w.Charged() || w.Unheld() != nil {
				t.Error("what was enforced is not in force")
			}
			w.stop()
		}
		// Put back, everything is as it was: the texts are still there.
		if err := os.WriteFile(w.Status().SetAside.Path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(w.Status().SetAside.Path, w.store.statePath()); err != nil {
			t.Fatal(err)
		}
		w.start()
		if s := w.Status(); s.SetAside != nil || s.Foreign || s.Failure != "" || w.mode("web") != policy.ModeEnforce || w.denies() != policy.Denied {
			t.Errorf("put back: %+v", s)
		}
		w.stop()
	})
}

func TestDamagedStateKeepsTextsWhenPoliciesAreGivenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.audit(webPolicy)
		w.damage("state.json")
		w.start()
		done := w.audit(strings.Replace(webPolicy, "3306", "3307", 1))
		if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "took its place") {
			t.Errorf("nobody was told that what was pinned is replaced: %v", done.Warnings)
		}
		if texts, _ := filepath.Glob(filepath.Join(w.dir, "*.yaml")); len(texts) != 2 {
			t.Errorf("%d texts are kept, want that of the damaged state too", len(texts))
		}
		w.stop()
	})
}

// After a boot nothing is pinned: then nobody may take it that policies hold.
func TestNothingHeldIsSaid(t *testing.T) {
	for _, file := range []string{"state.json", "*.yaml"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			if err := w.Unheld(); err != nil || w.Charged() {
				t.Errorf("without policies: %v", err)
			}
			w.audit(webPolicy)
			w.damage(file)
			w.kernel.plan = nil
			w.start()
			if err := w.Unheld(); err == nil {
				t.Errorf("%s is damaged, and nothing is said", file)
			}
			w.audit(webPolicy) // the way out, which makes a damaged text good
			if err := w.Unheld(); err != nil || w.kernel.plan == nil || w.Status().Failure != "" {
				t.Errorf("given anew it does not hold: %v, %q", err, w.Status().Failure)
			}
			w.stop()
		})
	}
}

func TestStoreThatCannotBeReadIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "state.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openStore(dir, time.Unix(1, 0)); err == nil {
		t.Error("a fault of the file system is taken for damage")
	}
}

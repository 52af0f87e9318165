package enforce

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/enforce/kernel"
)

// New devices are seen to when the kernel tells of them, and not only with the next
// beat.
func TestNewDevicesAreSeenToAtOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer w.stop()
	looks := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.kernel.looks
	}
	w.links <- time.Now()
	time.Sleep(50 * time.Millisecond)
	if n := looks(); n != 0 {
		t.Errorf("%d looks with no policy", n)
	}
	w.audit(webPolicy)
	w.mu.Lock()
	w.kernel.late = []kernel.LateDevice{{Cgroups: []uint64{11, 10, 99}, Name: "eth0", Kind: "macvlan"}, {Name: "eth1", Kind: "dummy"}}
	w.mu.Unlock()
	before := looks()
	for range 10 {
		w.links <- time.Now()
	}
	time.Sleep(10 * calm)
	if n := looks() - before; n < 1 || n > 4 {
		t.Errorf("ten changes at once came to %d looks", n)
	}
	if s := w.Status(); s.Cables != 3 || s.Early != 4 || s.CoverMS <= 0 {
		t.Errorf("status %+v", s)
	} else if got := strings.Join(s.Late, "; "); !strings.Contains(got, "db, ") || !strings.HasSuffix(got, "web: macvlan eth0; some process: dummy eth1") {
		t.Errorf("late are %q", got)
	}
}

func TestLookoutRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		told := make(chan time.Time)
		l := lookout{told: told, rest: calm}
		l.hear(begun, true)
		if <-l.due; time.Since(begun) != 0 {
			t.Errorf("the first look came after %s", time.Since(begun))
		}
		l.answer()
		l.hear(begun.Add(1), true)
		l.hear(begun.Add(2), true)
		<-l.due
		if at, since := time.Since(begun), l.answer(); at != calm || since != begun.Add(1) {
			t.Errorf("the second look came after %s, for a change at %s", at, since.Sub(begun))
		}
		if l.hear(time.Time{}, false); l.told != nil || l.due != nil {
			t.Error("it waits for what will not come")
		}
	})
}

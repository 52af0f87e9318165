package history_test

import (
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// standing is how many flows those stand for that a store finds, and how many it finds.
func standing(t *testing.T, s *history.Store) (stand uint64, found int) {
	t.Helper()
	err := s.Flows(t.Context(), always(), func(_ hubble.PastPlace, f *flowpb.Flow) bool {
		stand, found = stand+1+convert.More(f), found+1
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return stand, found
}

// Beyond the budget alike flows are kept as one, and none is forgotten: not when the
// store is closed, and not when the end of a flow says more than its start.
func TestMerges(t *testing.T) {
	path := t.TempDir() + "/history.db"
	now := epoch
	open := func() *history.Store {
		return openAt(t, path, func(cfg *history.Config) {
			cfg.Budget, cfg.Now = 10, func() time.Time { return now }
		})
	}
	s := open()
	starts := records(1, 1000)
	consume(t, s, starts)
	if stand, found := standing(t, s); stand != 12 || found != 12 {
		t.Errorf("at once %d records for %d flows", found, stand)
	}
	now = now.Add(10 * time.Second)
	end := starts[12] // behind ten, and the first of each kind: the merged start has its number
	end.Kind, end.Flow.End = flow.RecordEnd, flow.EndClosed
	consume(t, s, []flow.Record{end})
	if stand, found := standing(t, s); stand != 1001 || found != 15 {
		t.Errorf("afterwards %d records for %d flows", found, stand)
	}
	consume(t, s, records(1, 100))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if stand, _ := standing(t, s); stand != 1101 {
		t.Errorf("what was written stands for %d flows", stand)
	}
}

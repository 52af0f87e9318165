package history_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
)

func observe(t *testing.T, o *hubble.Observer, req *observerpb.GetFlowsRequest) (out []int) {
	t.Helper()
	err := o.Flows(t.Context(), req, func(res *observerpb.GetFlowsResponse) error {
		if f := res.GetFlow(); f != nil {
			out = append(out, number(f))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// numbers are span(first, last) but for those that keep drops.
func numbers(first, last int, keep func(int) bool) []int {
	return slices.DeleteFunc(span(first, last), func(i int) bool { return !keep(i) })
}

// What the ring has no more comes from the disk: after a restart too, each flow
// once, and none is missing.
func TestBehindTheRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	start := func(ring int) (*history.Store, *hubble.Observer) {
		s := openAt(t, path, nil)
		return s, hubble.NewObserver(hubble.Config{Ring: ring, NodeName: "node", Version: "1.0", Past: s})
	}
	feed := func(s *history.Store, o *hubble.Observer, batch []flow.Record) {
		consume(t, s, batch)
		consume(t, o, batch)
	}
	s, o := start(100)
	feed(s, o, records(1, 700))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, o = start(300)
	defer func() { s.Close() }()
	ts := func(id int) *timestamppb.Timestamp {
		return &timestamppb.Timestamp{Seconds: at(id) / 1e9, Nanos: int32(at(id) % 1e9)}
	}
	port80 := []*flowpb.FlowFilter{{DestinationPort: []string{"80"}}}
	third := func(i int) bool { return i%3 == 0 }
	check := func(last int) {
		t.Helper()
		for _, tt := range []struct {
			name string
			req  *observerpb.GetFlowsRequest
			want []int
		}{
			{"all", &observerpb.GetFlowsRequest{}, span(1, last)},
			{"all by number", &observerpb.GetFlowsRequest{Number: math.MaxUint64}, span(1, last)},
			{"newest few", &observerpb.GetFlowsRequest{Number: 20}, span(last-19, last)},
			{"newest many", &observerpb.GetFlowsRequest{Number: 650}, span(last-649, last)},
			{"oldest", &observerpb.GetFlowsRequest{Number: 3, First: true}, span(1, 3)},
			{"since", &observerpb.GetFlowsRequest{Since: ts(600)}, span(600, last)},
			{"since, some", &observerpb.GetFlowsRequest{Since: ts(600), Number: 5}, span(600, 604)},
			{"until", &observerpb.GetFlowsRequest{Until: ts(40)}, span(1, 40)},
			{"newest until", &observerpb.GetFlowsRequest{Until: ts(40), Number: 3}, span(38, 40)},
			{"between", &observerpb.GetFlowsRequest{Since: ts(500), Until: ts(690)}, span(500, 690)},
			{"newest that match", &observerpb.GetFlowsRequest{Number: 200, Whitelist: port80}, numbers(1, last, third)[last/3-200:]},
			{"all that match", &observerpb.GetFlowsRequest{Whitelist: port80}, numbers(1, last, third)},
			{"all but", &observerpb.GetFlowsRequest{Blacklist: port80}, numbers(1, last, func(i int) bool { return !third(i) })},
		} {
			if got := observe(t, o, tt.req); !slices.Equal(got, tt.want) {
				t.Errorf("with %d records, %s: got %s, want %s", last, tt.name, short(got), short(tt.want))
			}
		}
	}
	check(700)                           // an empty ring
	feed(s, o, records(701, 750))        // some of this run
	check(750)                           //
	feed(s, o, records(751, 2000))       // the ring turns
	check(2000)                          //
	feed(s, o, records(2001, 2000+3*97)) // at another place of its chunks
	check(2000 + 3*97)
}

// Records come in the order of their times only nearly.
func TestOutOfOrder(t *testing.T) {
	s := newStore(t, nil)
	o := hubble.NewObserver(hubble.Config{Ring: 64, NodeName: "node", Version: "1.0", Past: s})
	batch := records(1, 3000)
	for i := 0; i+150 < len(batch); i += 7 {
		batch[i], batch[i+140] = batch[i+140], batch[i]
	}
	for part := range slices.Chunk(batch, 100) {
		consume(t, s, part)
		consume(t, o, part)
		n := len(observe(t, o, &observerpb.GetFlowsRequest{Number: math.MaxUint64}))
		if want := slices.IndexFunc(batch, func(r flow.Record) bool { return r.Flow.ID == part[len(part)-1].Flow.ID }) + 1; n != want {
			t.Fatalf("%d flows of %d", n, want)
		}
	}
	got := observe(t, o, &observerpb.GetFlowsRequest{})
	slices.Sort(got)
	if !slices.Equal(got, span(1, 3000)) {
		t.Errorf("got %s", short(got))
	}
}

// A field mask holds for the past too.
func TestMaskedPast(t *testing.T) {
	s := newStore(t, nil)
	consume(t, s, records(1, 3))
	s.Close()
	s = openAt(t, s.Path(), nil)
	defer s.Close()
	o := hubble.NewObserver(hubble.Config{NodeName: "node", Past: s})
	n := 0
	err := o.Flows(t.Context(), &observerpb.GetFlowsRequest{FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"verdict"}}}, func(res *observerpb.GetFlowsResponse) error {
		f := res.GetFlow()
		if n++; f.GetVerdict() != flowpb.Verdict_FORWARDED || f.GetIP() != nil || f.GetExtensions() != nil || res.GetTime().AsTime().UnixNano() != at(n) {
			t.Errorf("got %v", res)
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%d flows: %v", n, err)
	}
}

package hubble_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// messy is a batch with records of every kind, and two that say nothing.
func messy() []flow.Record {
	get, dns := recordtest.Exchange(2, flow.HTTP), recordtest.Exchange(4, flow.DNS)
	return []flow.Record{
		recordtest.New(1, flow.RecordStart), get, recordtest.Tally(get, 1205), recordtest.New(3, flow.RecordUpdate), dns, recordtest.Tally(dns, 41),
		{Kind: flow.RecordL7, Time: get.Time}, {Kind: flow.RecordL7, Time: get.Time, L7: &flow.L7{Protocol: flow.HTTP}},
	}
}

// Exchanges are kept and shown beside flows; tallies are not kept, and shown to
// nobody who does not know what they are.
func TestExchangesAreFlows(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{})
	consume(t, o, messy()...)
	if got := ids(t, o, &observerpb.GetFlowsRequest{}); !slices.Equal(got, []uint64{1, 2, 4}) {
		t.Errorf("kept %v", got)
	}
	s, err := o.ServerStatus(t.Context(), nil)
	if err != nil || s.GetNumFlows() != 3 || s.GetSeenFlows() != 3 {
		t.Errorf("status %v, %v", s, err)
	}
	if ns, _ := o.GetNamespaces(t.Context(), nil); len(ns.GetNamespaces()) != 1 {
		t.Errorf("namespaces %v", ns)
	}
	for _, tt := range []struct {
		name   string
		filter *flowpb.FlowFilter
		want   []uint64
	}{
		{"l7", &flowpb.FlowFilter{EventType: []*flowpb.EventTypeFilter{{Type: 129}}}, []uint64{2, 4}},
		{"http", &flowpb.FlowFilter{Protocol: []string{"http"}}, []uint64{2}},
		{"dns", &flowpb.FlowFilter{Protocol: []string{"dns"}}, []uint64{4}},
		{"tls", &flowpb.FlowFilter{Protocol: []string{"tls"}}, nil},
		{"path", &flowpb.FlowFilter{HttpPath: []string{`^/users/\d+$`}}, []uint64{2}},
		{"template is no path", &flowpb.FlowFilter{HttpPath: []string{`\{id\}`}}, nil},
		{"url", &flowpb.FlowFilter{HttpUrl: []string{`^http://db\.example\.com:8080/`}}, []uint64{2}},
		{"status", &flowpb.FlowFilter{HttpStatusCode: []string{"2+"}}, []uint64{2}},
		{"method", &flowpb.FlowFilter{HttpMethod: []string{"get"}}, []uint64{2}},
		{"query", &flowpb.FlowFilter{DnsQuery: []string{`^cart\.shop\.example\.$`}}, []uint64{4}},
		{"to a name", &flowpb.FlowFilter{DestinationFqdn: []string{"db.example.com"}}, []uint64{1}},
		{"from a name", &flowpb.FlowFilter{SourceFqdn: []string{"db.example.com"}}, []uint64{2, 4}},
		{"answers", &flowpb.FlowFilter{Reply: []bool{true}}, []uint64{2, 4}},
		{"trace", &flowpb.FlowFilter{TraceId: []string{"4bf92f3577b34da6a3ce929d0e0e4736"}}, []uint64{2}},
		{"tcp", &flowpb.FlowFilter{Protocol: []string{"tcp"}}, []uint64{1, 2}},
	} {
		if got := ids(t, o, &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{tt.filter}}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := ids(t, o, &observerpb.GetFlowsRequest{Blacklist: []*flowpb.FlowFilter{{Protocol: []string{"http"}}}}); !slices.Equal(got, []uint64{1, 4}) {
		t.Errorf("not http: %v", got)
	}
}

// followed gives what a follower gets of what is consumed after it came. It works
// within a synctest bubble.
func followed(t *testing.T, o *hubble.Observer, req *observerpb.GetFlowsRequest, batches ...[]flow.Record) (got []*flowpb.Flow) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	req.Follow = true
	go func() {
		end <- o.Flows(ctx, req, func(res *observerpb.GetFlowsResponse) error {
			got = append(got, res.GetFlow())
			return nil
		})
	}()
	synctest.Wait()
	for _, b := range batches {
		consume(t, o, b...)
		synctest.Wait()
	}
	cancel()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return got
}

func counts(t *testing.T, list []*flowpb.Flow) (flows int, counted []uint64) {
	t.Helper()
	d := convert.NewDecoder()
	for _, f := range list {
		if !convert.Tally(f) {
			flows++
			continue
		}
		r, err := d.Record(f)
		if err != nil {
			t.Fatal(err)
		}
		counted = append(counted, r.L7.Tally.Count)
	}
	return flows, counted
}

func TestTallies(t *testing.T) {
	gets := []*flowpb.FlowFilter{{HttpMethod: []string{"GET"}}}
	for _, tt := range []struct {
		name    string
		req     *observerpb.GetFlowsRequest
		flows   int
		counted []uint64
	}{
		{"any client", &observerpb.GetFlowsRequest{}, 6, nil},
		{"weir top", &observerpb.GetFlowsRequest{Extensions: hubble.Want{Updates: true, Tallies: true}.Extensions()}, 8, []uint64{1205, 41, 1205, 41}},
		{"updates alone", &observerpb.GetFlowsRequest{Extensions: hubble.Want{Updates: true}.Extensions()}, 8, nil},
		{"weir observe", &observerpb.GetFlowsRequest{Extensions: hubble.Want{More: true}.Extensions()}, 6, []uint64{1204, 40, 1204, 40}},
		{"filtered", &observerpb.GetFlowsRequest{Extensions: hubble.Want{More: true}.Extensions(), Whitelist: gets}, 2, []uint64{1204, 1204}},
		{"filtered, with a mask", &observerpb.GetFlowsRequest{
			Extensions: hubble.Want{More: true}.Extensions(), Whitelist: gets, FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"time", "Type", "l7"}},
		}, 2, []uint64{1204, 1204}},
		{"one that was shown before", &observerpb.GetFlowsRequest{Extensions: hubble.Want{More: true}.Extensions(), Whitelist: gets, Number: 5}, 3, []uint64{1204, 1204}},
		{"nothing passes", &observerpb.GetFlowsRequest{Extensions: hubble.Want{More: true}.Extensions(), Whitelist: []*flowpb.FlowFilter{{HttpMethod: []string{"PUT"}}}}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := hubble.NewObserver(hubble.Config{})
				if tt.req.Number > 0 {
					consume(t, o, recordtest.Exchange(0, flow.HTTP))
				}
				flows, counted := counts(t, followed(t, o, tt.req, messy(), messy()))
				if flows != tt.flows || !slices.Equal(counted, tt.counted) {
					t.Errorf("%d flows and tallies of %v, want %d and %v", flows, counted, tt.flows, tt.counted)
				}
			})
		})
	}
}

// A follower is told of losses of what it would have got, not of others' tallies.
func TestTalliesOfOthersAreNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := hubble.NewObserver(hubble.Config{})
		hold := make(chan struct{})
		slow := listen(t, o, &observerpb.GetFlowsRequest{}, hold)
		top := listen(t, o, &observerpb.GetFlowsRequest{Extensions: hubble.Want{Tallies: true}.Extensions()}, nil)
		tallies := slices.Repeat([]flow.Record{recordtest.Tally(recordtest.Exchange(1, flow.HTTP), 2)}, 1000)
		for range 50 {
			consume(t, o, tallies...)
			synctest.Wait()
		}
		if got := top.got(); len(got) != 50_000 {
			t.Errorf("top got %d", len(got))
		}
		if n := o.Lost()[flow.Loss{Stage: "observer", Reason: "follower_slow"}]; n != 0 {
			t.Errorf("%d lost that nobody wanted", n)
		}
		close(hold)
		for _, l := range []*listener{slow, top} {
			l.stop()
			<-l.end
		}
	})
}

// What weir top gets through the daemon's socket is what it would get in the
// daemon's place.
func TestExchangesThroughTheSocket(t *testing.T) {
	var o *hubble.Observer
	o = hubble.NewObserver(hubble.Config{Live: func(func(*flow.Record) bool) { consume(t, o, messy()...) }})
	target, _ := serve(t, o)
	c := dial(t, target)
	want := slices.DeleteFunc(messy(), func(r flow.Record) bool {
		return r.Kind == flow.RecordL7 && (r.L7 == nil || r.L7.Exchange == nil && r.L7.Tally == nil)
	})
	enough := errors.New("enough")
	var got []flow.Record
	err := c.Records(t.Context(), func(batch []flow.Record) error {
		if got = append(got, batch...); len(got) >= len(want) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
	if len(c.Lost()) != 0 {
		t.Errorf("lost %v", c.Lost())
	}
}

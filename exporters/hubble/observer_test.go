package hubble_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is the time of recordtest's record id.
func at(id uint64) time.Time {
	return time.Unix(0, recordtest.Epoch).Add(time.Duration(id) * time.Millisecond)
}

// fill feeds records first..last of kind start, in batches.
func fill(t *testing.T, o *hubble.Observer, first, last uint64) {
	t.Helper()
	var batch []flow.Record
	for id := first; id <= last; id++ {
		batch = append(batch, recordtest.New(id, flow.RecordStart))
	}
	consume(t, o, batch...)
}

func consume(t *testing.T, o *hubble.Observer, batch ...flow.Record) {
	t.Helper()
	if err := o.Consume(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// ids are the numbers of the records in an answer, made of their times.
func ids(t *testing.T, o *hubble.Observer, req *observerpb.GetFlowsRequest) []uint64 {
	t.Helper()
	var out []uint64
	err := o.Flows(t.Context(), req, func(res *observerpb.GetFlowsResponse) error {
		if f := res.GetFlow(); f != nil {
			out = append(out, uint64(f.GetTime().AsTime().Sub(at(0))/time.Millisecond))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func span2(first, last uint64) (out []uint64) {
	for i := first; i <= last; i++ {
		out = append(out, i)
	}
	return out
}

func ts(id uint64) *timestamppb.Timestamp { return timestamppb.New(at(id)) }

// What is shown of what is kept: by number, by time, oldest first.
func TestSelection(t *testing.T) {
	// Every third flow goes to port 80.
	o := hubble.NewObserver(hubble.Config{Ring: 600})
	for id := uint64(1); id <= 1000; id++ {
		r := recordtest.New(id, flow.RecordStart)
		if id%3 == 0 {
			r.Flow.Server.Addr = addrPort("198.51.100.7:80")
		}
		consume(t, o, r)
	}
	http := []*flowpb.FlowFilter{{DestinationPort: []string{"80"}}}
	for _, tt := range []struct {
		name string
		req  *observerpb.GetFlowsRequest
		want []uint64
	}{
		{"all that is kept", &observerpb.GetFlowsRequest{}, span2(401, 1000)},
		{"newest", &observerpb.GetFlowsRequest{Number: 3}, span2(998, 1000)},
		{"all by number", &observerpb.GetFlowsRequest{Number: 1<<64 - 1}, span2(401, 1000)},
		{"more than there are", &observerpb.GetFlowsRequest{Number: 601}, span2(401, 1000)},
		{"oldest", &observerpb.GetFlowsRequest{Number: 3, First: true}, span2(401, 403)},
		{"since", &observerpb.GetFlowsRequest{Since: ts(990)}, span2(990, 1000)},
		{"since before all", &observerpb.GetFlowsRequest{Since: ts(1)}, span2(401, 1000)},
		{"since after all", &observerpb.GetFlowsRequest{Since: ts(2000)}, nil},
		{"until", &observerpb.GetFlowsRequest{Until: ts(405)}, span2(401, 405)},
		{"from to", &observerpb.GetFlowsRequest{Since: ts(500), Until: ts(505)}, span2(500, 505)},
		{"since beats number", &observerpb.GetFlowsRequest{Since: ts(500), Number: 3}, span2(500, 502)},
		{"since beats first", &observerpb.GetFlowsRequest{Since: ts(500), Number: 3, First: true}, span2(500, 502)},
		{"newest until", &observerpb.GetFlowsRequest{Until: ts(700), Number: 2}, span2(699, 700)},
		{"newest that match", &observerpb.GetFlowsRequest{Number: 3, Whitelist: http}, []uint64{993, 996, 999}},
		{"oldest that match", &observerpb.GetFlowsRequest{Number: 2, First: true, Whitelist: http}, []uint64{402, 405}},
		{"newest that do not", &observerpb.GetFlowsRequest{Number: 3, Blacklist: http}, []uint64{997, 998, 1000}},
		{"all that match", &observerpb.GetFlowsRequest{Number: 1 << 40, Since: ts(990), Whitelist: http}, []uint64{990, 993, 996, 999}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(t, o, tt.req); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The ring is right at every fill, also where it is smaller than a chunk.
func TestRing(t *testing.T) {
	for _, size := range []int{1, 10, 255, 256, 257, 1000} {
		o := hubble.NewObserver(hubble.Config{Ring: size})
		for id := uint64(1); id <= 1100; id++ {
			consume(t, o, recordtest.New(id, flow.RecordStart))
			if id%97 != 0 && id != 1100 && id > 3 {
				continue
			}
			first := uint64(1)
			if id > uint64(size) {
				first = id - uint64(size) + 1
			}
			if got := ids(t, o, &observerpb.GetFlowsRequest{}); !slices.Equal(got, span2(first, id)) {
				t.Fatalf("ring of %d after %d: %d records, %v…", size, id, len(got), got[:min(len(got), 3)])
			}
		}
	}
}

// Updates do not push starts and ends out of the ring.
func TestUpdatesAreNotKept(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{})
	consume(t, o, recordtest.New(1, flow.RecordStart), recordtest.New(2, flow.RecordUpdate), recordtest.New(3, flow.RecordDrop), recordtest.New(4, flow.RecordEnd))
	if got := ids(t, o, &observerpb.GetFlowsRequest{}); !slices.Equal(got, []uint64{1, 3, 4}) {
		t.Errorf("kept %v", got)
	}
}

func TestWrongRequests(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{})
	unknown, _ := anypb.New(&structpb.Struct{Fields: map[string]*structpb.Value{"acme": structpb.NewBoolValue(true)}})
	empty, _ := anypb.New(&emptypb.Empty{})
	for _, tt := range []struct {
		req  *observerpb.GetFlowsRequest
		want string
	}{
		{&observerpb.GetFlowsRequest{First: true, Follow: true}, "first cannot be specified with follow"},
		{&observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: []string{"true"}}}}}, "allowlist: filter field experimental.cel_expression"},
		{&observerpb.GetFlowsRequest{Blacklist: []*flowpb.FlowFilter{{Protocol: []string{"x"}}}}, "denylist: filter field protocol"},
		{&observerpb.GetFlowsRequest{Since: &timestamppb.Timestamp{Nanos: -1}}, "since"},
		{&observerpb.GetFlowsRequest{Until: &timestamppb.Timestamp{Nanos: -1}}, "until"},
		{&observerpb.GetFlowsRequest{FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"source.nonsense"}}}, `"source.nonsense"`},
		{&observerpb.GetFlowsRequest{Extensions: unknown}, `unknown key "acme"`},
		{&observerpb.GetFlowsRequest{Extensions: empty}, "extensions"},
		{&observerpb.GetFlowsRequest{Extensions: hubble.Want{Snapshot: true}.Extensions()}, "no snapshot"},
		{&observerpb.GetFlowsRequest{Extensions: hubble.Want{Tallies: true, More: true}.Extensions()}, "cannot be combined"},
	} {
		err := o.Flows(t.Context(), tt.req, func(*observerpb.GetFlowsResponse) error { return nil })
		var wrong *hubble.RequestError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want a RequestError with %q", tt.req, err, tt.want)
		}
	}
}

func TestFieldMask(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1"})
	fill(t, o, 1, 1)
	get := func(paths ...string) *flowpb.Flow {
		t.Helper()
		var f *flowpb.Flow
		req := &observerpb.GetFlowsRequest{FieldMask: &fieldmaskpb.FieldMask{Paths: paths}, Whitelist: []*flowpb.FlowFilter{{DestinationFqdn: []string{"db.*"}}}}
		if err := o.Flows(t.Context(), req, func(res *observerpb.GetFlowsResponse) error { f = res.GetFlow(); return nil }); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := get(); f.GetExtensions() == nil || f.GetUuid() == "" || len(f.GetDestinationNames()) == 0 {
		t.Errorf("no mask: %v", f)
	}
	// The filter sees names that the mask leaves out.
	f := get("time", "source.pod_name", "source.identity", "l4.TCP.destination_port")
	if f.GetExtensions() != nil || f.GetUuid() != "" || f.GetDestination() != nil || f.GetIP() != nil || f.GetDestinationNames() != nil {
		t.Errorf("too much: %v", f)
	}
	if f.GetTime() == nil || f.GetSource().GetPodName() != "shop-web-1" || f.GetSource().GetLabels() != nil || f.GetL4().GetTCP().GetDestinationPort() != 5432 || f.GetL4().GetTCP().GetSourcePort() != 0 {
		t.Errorf("not what was asked: %v", f)
	}
	if f := get("extensions"); f.GetExtensions() == nil || f.GetTime() != nil {
		t.Errorf("extensions: %v", f)
	}
	// A path that covers another wins, in either order.
	for _, paths := range [][]string{{"source", "source.pod_name"}, {"source.pod_name", "source"}} {
		if f := get(paths...); len(f.GetSource().GetLabels()) == 0 {
			t.Errorf("%v: %v", paths, f)
		}
	}
	// What was cleared was this flow's alone.
	if f := get("source"); len(f.GetSource().GetLabels()) == 0 || len(f.GetSource().GetWorkloads()) == 0 {
		t.Errorf("an earlier mask shows: %v", f)
	}
}

func TestSendErrorEndsTheAnswer(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{})
	fill(t, o, 1, 10)
	enough := errors.New("enough")
	n := 0
	err := o.Flows(t.Context(), &observerpb.GetFlowsRequest{}, func(*observerpb.GetFlowsResponse) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("error %v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Flows(ctx, &observerpb.GetFlowsRequest{}, func(*observerpb.GetFlowsResponse) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestStatus(t *testing.T) {
	now := at(0)
	o := hubble.NewObserver(hubble.Config{Ring: 100, NodeName: "node-\xff", Version: "1.2", Address: "unix:///x", Now: func() time.Time { return now }})
	now = now.Add(10 * time.Second)
	fill(t, o, 1, 150)
	s, err := o.ServerStatus(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.GetNumFlows() != 100 || s.GetMaxFlows() != 100 || s.GetSeenFlows() != 150 || s.GetVersion() != "1.2" || s.GetUptimeNs() != 10e9 || s.GetFlowsRate() != 15 {
		t.Errorf("status %v", s)
	}
	n, err := o.GetNodes(t.Context(), nil)
	if err != nil || len(n.GetNodes()) != 1 || n.GetNodes()[0].GetState() != 1 || n.GetNodes()[0].GetAddress() != "unix:///x" || n.GetNodes()[0].GetName() != "node-\uFFFD" {
		t.Errorf("nodes %v, %v", n, err)
	}
	now = now.Add(2 * time.Minute)
	if s, _ := o.ServerStatus(t.Context(), nil); s.GetFlowsRate() != 0 {
		t.Errorf("rate %v two minutes later", s.GetFlowsRate())
	}
	if ns, _ := o.GetNamespaces(t.Context(), nil); len(ns.GetNamespaces()) != 1 || ns.GetNamespaces()[0].GetNamespace() != "shop" {
		t.Errorf("namespaces %v", ns)
	}
	now = now.Add(2 * time.Hour)
	if ns, _ := o.GetNamespaces(t.Context(), nil); len(ns.GetNamespaces()) != 0 {
		t.Errorf("namespaces hours later: %v", ns)
	}
}

// The whole ring in the memory that DESIGN allows it.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	o := hubble.NewObserver(hubble.Config{})
	web, names := recordtest.Web(), []string{"db.example.com"}
	for id := range uint64(70_000) {
		r := recordtest.New(id, flow.RecordEnd)
		r.Flow.Client.Workload, r.Flow.Server.Names = web, names
		consume(t, o, r)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("65,536 records in %d kB", used>>10)
	if used > 12<<20 {
		t.Errorf("65,536 records take %d bytes", used)
	}
	runtime.KeepAlive(o)
}

func BenchmarkConsume(b *testing.B) {
	o := hubble.NewObserver(hubble.Config{})
	batch := make([]flow.Record, 256)
	for i := range batch {
		batch[i] = recordtest.New(uint64(i), flow.RecordEnd)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = o.Consume(b.Context(), batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/record")
}

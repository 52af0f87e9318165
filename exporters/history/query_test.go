package history

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/filter"
)

// The few values that flows and filters of these tests are made of, so that they meet.
var (
	someIPs   = []string{"10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "2001:db8::1", ""}
	somePods  = []string{"web", "web-1", "we", "\xc3\xbfx", "", "a\nb"}
	somePorts = []uint32{0, 53, 80, 32767, 32768, 50000}
)

func anyFlow(t *rapid.T) *flowpb.Flow {
	end := func(name string) *flowpb.Endpoint {
		return &flowpb.Endpoint{
			Namespace: rapid.SampledFrom([]string{"", "shop"}).Draw(t, name+"ns"), PodName: rapid.SampledFrom(somePods).Draw(t, name+"pod"),
			Workloads: []*flowpb.Workload{{Kind: "Deployment", Name: rapid.SampledFrom(somePods).Draw(t, name+"work")}},
		}
	}
	f := &flowpb.Flow{
		Verdict: rapid.SampledFrom([]flowpb.Verdict{flowpb.Verdict_FORWARDED, flowpb.Verdict_DROPPED}).Draw(t, "verdict"),
		IP:      &flowpb.IP{Source: rapid.SampledFrom(someIPs).Draw(t, "sip"), Destination: rapid.SampledFrom(someIPs).Draw(t, "dip")},
		Source:  end("source"), Destination: end("destination"),
	}
	sport, dport := rapid.SampledFrom(somePorts).Draw(t, "sport"), rapid.SampledFrom(somePorts).Draw(t, "dport")
	switch rapid.IntRange(0, 2).Draw(t, "l4") {
	case 0:
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: sport, DestinationPort: dport}}}
	case 1:
		f.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: sport, DestinationPort: dport}}}
	}
	if rapid.Bool().Draw(t, "l7") {
		f.Type = flowpb.FlowType_L7
		f.L7 = &flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: &flowpb.HTTP{Code: 200, Method: "GET", Url: "http://x/users"}}}
		f.EventType = &flowpb.CiliumEventType{Type: 129}
	}
	return f
}

func anyFilter(t *rapid.T) *flowpb.FlowFilter {
	some := func(name string, from []string) (out []string) {
		if rapid.IntRange(0, 3).Draw(t, name) == 0 {
			out = rapid.SliceOfN(rapid.SampledFrom(from), 1, 2).Draw(t, name+"values")
		}
		return slices.DeleteFunc(out, func(s string) bool { return s == "" })
	}
	addrs := append([]string{"10.0.0.0/8"}, someIPs...)
	pods := append([]string{"shop/we", "shop/", "/web"}, somePods...)
	var ports []string
	for _, p := range somePorts {
		ports = append(ports, fmt.Sprint(p))
	}
	ff := &flowpb.FlowFilter{
		SourceIp: some("sip", addrs), DestinationIp: some("dip", addrs), SourcePod: some("spod", pods), DestinationPod: some("dpod", pods),
		SourcePort: some("sport", ports), DestinationPort: some("dport", ports), HttpMethod: some("method", []string{"GET", "POST"}),
	}
	if len(ff.HttpMethod) > 0 {
		ff.EventType = []*flowpb.EventTypeFilter{{Type: 129}}
	}
	if rapid.Bool().Draw(t, "verdict") {
		ff.Verdict = []flowpb.Verdict{flowpb.Verdict_DROPPED}
	}
	if rapid.IntRange(0, 3).Draw(t, "workload") == 0 {
		ff.SourceWorkload = []*flowpb.Workload{{Name: "web"}, {Kind: "Deployment", Name: rapid.SampledFrom(somePods).Draw(t, "wname")}}
	}
	return ff
}

// The index leaves out no flow that a filter matches. One flow stands in each block,
// so that each is found by itself.
func TestIndexFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := rapidDir(t)
		s, err := Open(Config{Path: filepath.Join(dir, "h")})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		flows := rapid.SliceOfN(rapid.Custom(anyFlow), 1, 8).Draw(t, "flows")
		for i, f := range flows {
			if err := s.open.add(int64(i), f); err != nil {
				t.Fatal(err)
			}
			s.flush(t.Context(), true)
		}
		q := hubble.PastQuery{Until: 1 << 62, Present: 1 << 62, Filters: rapid.SliceOfN(rapid.Custom(anyFilter), 0, 2).Draw(t, "filters")}
		set, err := filter.Compile(q.Filters, nil)
		if err != nil {
			t.Skip(err)
		}
		ids, err := s.blocks(t.Context(), q, s.last)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range flows {
			if set.Match(f) && !slices.Contains(ids, int64(i+1)) {
				t.Fatalf("%v matches %v and is not found", f, q.Filters)
			}
		}
	})
}

// What the index is there for: of many blocks only those with the value are read.
func TestIndexLeavesOut(t *testing.T) {
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "h")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 100 {
		f := &flowpb.Flow{IP: &flowpb.IP{Source: fmt.Sprintf("10.0.0.%d", i)}, Source: &flowpb.Endpoint{Namespace: "shop", PodName: fmt.Sprintf("web-%d", i)}}
		if err := s.open.add(int64(i), f); err != nil {
			t.Fatal(err)
		}
		s.flush(t.Context(), true)
	}
	for _, tt := range []struct {
		filters []*flowpb.FlowFilter
		want    int
	}{
		{nil, 100},
		{[]*flowpb.FlowFilter{{SourceIp: []string{"10.0.0.7"}}}, 1},
		{[]*flowpb.FlowFilter{{SourceIp: []string{"10.0.0.7"}}, {DestinationIp: []string{"10.0.0.8"}}}, 2},
		{[]*flowpb.FlowFilter{{SourceIp: []string{"10.0.0.7"}, SourcePod: []string{"shop/web-8"}}}, 0},
		{[]*flowpb.FlowFilter{{SourcePod: []string{"shop/web-9"}}}, 11},
		{[]*flowpb.FlowFilter{{SourceIp: []string{"10.0.0.0/30"}}}, 100}, // not in the index
	} {
		ids, err := s.blocks(t.Context(), hubble.PastQuery{Until: 1 << 62, Present: 1 << 62, Filters: tt.filters}, s.last)
		if err != nil || len(ids) != tt.want {
			t.Errorf("%v: %d blocks, want %d: %v", tt.filters, len(ids), tt.want, err)
		}
	}
}

func FuzzParseFlows(f *testing.F) {
	var b block
	for i := range 3 {
		if err := b.add(int64(i), &flowpb.Flow{NodeName: "node", Verdict: flowpb.Verdict_DROPPED}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.raw)
	f.Add(b.raw[:len(b.raw)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, raw []byte) {
		flows, err := parseFlows(raw)
		if err != nil {
			return
		}
		var again block
		for _, fl := range flows {
			if err := again.add(0, fl); err != nil {
				t.Skip(err) // text that is not UTF-8
			}
		}
		back, err := parseFlows(again.raw)
		if err != nil || !slices.EqualFunc(flows, back, func(a, b *flowpb.Flow) bool { return proto.Equal(a, b) }) {
			t.Errorf("%v became %v: %v", flows, back, err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.close)
	f.Add(c.pack(nil))
	f.Add(c.pack([]byte{0}))
	f.Add([]byte("no zstd"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if flows, err := c.unpack(body); err == nil && len(flows) > blockFlows {
			t.Errorf("%d flows", len(flows))
		}
	})
}

// rapidDir is a directory for one draw: rapid's T has none.
func rapidDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

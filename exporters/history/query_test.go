package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/filter"
)

// The few values that flows and filters of these tests are made of, so that they meet.
var (
	someIPs   = []string{"10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "2001:db8::1", ""}
	somePods  = []string{"web", "web-1", "we", "\xc3\xbfx", "", "a\nb"}
	somePorts = []uint32{0, 53, 80, 32767, 32768, 50000}
)

func anyRecord(t *rapid.T) flow.Record {
	end := func(name string) (e flow.Endpoint) {
		a, _ := netip.ParseAddr(rapid.SampledFrom(someIPs).Draw(t, name+"ip"))
		e.Addr = netip.AddrPortFrom(a, uint16(rapid.SampledFrom(somePorts).Draw(t, name+"port")))
		if rapid.IntRange(0, 3).Draw(t, name+"known") > 0 {
			e.Comm = flow.MakeComm(rapid.SampledFrom(somePods).Draw(t, name+"comm"))
			e.Workload = &flow.Workload{
				Runtime: rapid.SampledFrom([]flow.Runtime{flow.RuntimeDocker, flow.RuntimeHost, flow.RuntimeSystemd, flow.RuntimeWorld}).Draw(t, name+"runtime"),
				Name:    rapid.SampledFrom(somePods).Draw(t, name+"pod"), Namespace: rapid.SampledFrom([]string{"", "shop"}).Draw(t, name+"ns"),
				Owner: flow.Owner{Kind: "Deployment", Name: rapid.SampledFrom(somePods).Draw(t, name+"work")},
			}
		}
		return e
	}
	r := flow.Record{
		Kind: flow.RecordStart, Verdict: rapid.SampledFrom([]flow.Verdict{flow.VerdictForwarded, flow.VerdictDropped}).Draw(t, "verdict"),
		Flow: flow.Flow{Protocol: rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.UDP, flow.ICMP}).Draw(t, "l4"), Client: end("client"), Server: end("server")},
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		l := &flow.L7{Protocol: flow.HTTP, Client: r.Flow.Client, Server: r.Flow.Server, Exchange: &flow.Exchange{
			Transport: flow.TCP, Status: 200, HTTP: &flow.HTTPExchange{Method: "GET", Path: "/users", Version: 11},
		}}
		r = flow.Record{Kind: flow.RecordL7, Verdict: r.Verdict, L7: l}
	case 1:
		r.Kind, r.Drop = flow.RecordDrop, &flow.Drop{Source: r.Flow.Server.Addr, Destination: r.Flow.Client.Addr, Packets: 1}
	}
	return r
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

// Neither the index nor the look at records leaves out a flow that a filter matches.
// One flow stands in each block, so that each is found by itself; the last one waits.
func TestFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := rapidDir(t)
		s, err := Open(Config{Path: filepath.Join(dir, "h")})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		records := rapid.SliceOfN(rapid.Custom(anyRecord), 1, 8).Draw(t, "records")
		for i := range records {
			s.flush(t.Context(), true)
			records[i].Time = int64(i)
			if err := s.Consume(t.Context(), records[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		q := hubble.PastQuery{Until: 1 << 62, Present: 1 << 62, Filters: rapid.SliceOfN(rapid.Custom(anyFilter), 0, 2).Draw(t, "filters")}
		set, err := filter.Compile(q.Filters, nil)
		if err != nil {
			t.Skip(err)
		}
		found := make(map[int64]bool)
		if err := s.Flows(t.Context(), q, func(_ hubble.PastPlace, f *flowpb.Flow) bool {
			found[f.GetTime().AsTime().UnixNano()] = true
			return true
		}); err != nil {
			t.Fatal(err)
		}
		c := convert.New("", "")
		for i := range records {
			if f := c.Flow(&records[i]); set.Match(f) && !found[int64(i)] {
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
		r := flow.Record{Kind: flow.RecordStart, Time: int64(i), Flow: flow.Flow{Client: flow.Endpoint{
			Addr:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 50000),
			Workload: &flow.Workload{Runtime: flow.RuntimeDocker, Namespace: "shop", Name: fmt.Sprintf("web-%d", i)},
		}}}
		if err := s.Consume(t.Context(), []flow.Record{r}); err != nil {
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
		p := past{PastQuery: hubble.PastQuery{Until: 1 << 62, Present: 1 << 62}, sought: newSought(tt.filters)}
		ids, err := s.blocks(t.Context(), &p, s.last)
		if err != nil || len(ids) != tt.want {
			t.Errorf("%v: %d blocks, want %d: %v", tt.filters, len(ids), tt.want, err)
		}
	}
}

// Whatever a body holds, its records can be made into messages.
func FuzzParse(f *testing.F) {
	c := newCrowd()
	var p pending
	conv := convert.New("", "")
	load := busyHost{crowd: c}
	for _, r := range load.second(noon)[:40] {
		p.add(&r, noon, conv)
	}
	raw := appendText(appendText(nil, "node"), "1.0")
	batch, err := os.ReadFile("../hubble/pack/testdata/batch-1") // has records of all shapes
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(raw[:len(raw):len(raw)], batch...))
	for _, c := range p.take(conv) {
		f.Add(c.records.Append(raw, c.spare))
	}
	f.Add(raw[:3])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, raw []byte) {
		records, conv, err := parse(raw)
		if err != nil {
			return
		}
		var r flow.Record
		for i := range records.Len() {
			records.At(i, &r)
			fl := conv.Flow(&r)
			conv.Extend(fl, &r)
			if _, err := proto.Marshal(fl); err != nil {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
}

func FuzzUnpack(f *testing.F) {
	sum := func(b []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)), b...)
	}
	f.Add(s2.Encode(nil, nil))
	f.Add(s2.Encode(nil, []byte("no records")))
	f.Add([]byte("no S2"))
	f.Add(binary.AppendUvarint(nil, 1<<40))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range [][]byte{body, sum(body)} {
			if records, _, err := unpack(b); err == nil && records.Len() > maxBlock {
				t.Errorf("%d records", records.Len())
			}
		}
	})
}

func FuzzUnpackKeys(f *testing.F) {
	f.Add(packKeys([]string{keyL7, keyPort + "80"}))
	f.Add([]byte{5, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := unpackKeys(b)
		if err != nil {
			return
		}
		var list []string
		for _, k := range keys {
			list = append(list, string(k))
		}
		if again, err := unpackKeys(packKeys(list)); err != nil || !slices.EqualFunc(keys, again, bytes.Equal) {
			t.Errorf("%q became %q: %v", keys, again, err)
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

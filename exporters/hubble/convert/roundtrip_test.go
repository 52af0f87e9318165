package convert_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// throughWire is what a client gets of f.
func throughWire(t interface{ Fatalf(string, ...any) }, f *flowpb.Flow) *flowpb.Flow {
	raw, err := proto.Marshal(f)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	var out flowpb.Flow
	if err := proto.Unmarshal(raw, &out); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	return &out
}

// normal is r as it comes back: what is outside of this host has no other
// label than that.
func normal(r flow.Record) flow.Record {
	ends := []*flow.Endpoint{&r.Flow.Client, &r.Flow.Server}
	if r.L7 != nil {
		l := *r.L7
		r.L7 = &l
		ends = []*flow.Endpoint{&l.Client, &l.Server}
	}
	for _, e := range ends {
		if e.Workload == nil {
			continue
		}
		w := *e.Workload
		if w.Runtime == flow.RuntimeWorld {
			w.Labels, w.Namespace = []flow.Label{{Source: "reserved", Key: "world"}}, ""
		}
		e.Workload = &w
	}
	return r
}

// A record that went to a client is the record that left.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, d := convert.New("node", "1.0"), convert.NewDecoder()
		for range 3 {
			in := recordtest.Any().Draw(t, "record")
			out := c.Flow(&in)
			c.Extend(out, &in)
			got, err := d.Record(throughWire(t, out))
			if err != nil {
				t.Fatal(err)
			}
			if want := normal(in); !reflect.DeepEqual(got, want) {
				t.Fatalf("\n got %s\nwant %s", dump(got), dump(want))
			}
		}
	})
}

func dump(r flow.Record) string {
	b, _ := json.Marshal(r)
	return string(b)
}

// The hand-written wire bytes are a Struct like any other, and JSON shows them.
func TestExtensionsAreAStruct(t *testing.T) {
	c := convert.New("node", "1.0")
	r := recordtest.New(9, flow.RecordEnd)
	r.Flow.Client.Cookie = 1<<53 + 1 // more than a double can tell
	out := c.Flow(&r)
	c.Extend(out, &r)
	m, err := out.Extensions.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	got := m.(*structpb.Struct).AsMap()
	sent := got["sent"].(map[string]any)
	if sent["payload_bytes"] != 1200.0 || sent["wire_bytes"] != 1700.0 || sent["packets"] != 9.0 {
		t.Errorf("sent = %v", sent)
	}
	client := got["client"].(map[string]any)
	if client["cookie"] != "9007199254740993" || client["command"] != "nginx" || client["seen"] != true {
		t.Errorf("client = %v", client)
	}
	if w := client["workload"].(map[string]any); w["image"] != "nginx:1.29" || w["container_id"] != recordtest.Web().Container {
		t.Errorf("workload = %v", w)
	}
	if got["record"] != "end" || got["end"] != "closed" || got["rtt_ns"] != 400000.0 || got["start"] != "2026-06-01T12:00:00Z" {
		t.Errorf("extensions = %v", got)
	}
	if _, there := got["preexisting"]; there {
		t.Error("a field with the zero value was written")
	}
	if _, err := json.Marshal(out); err != nil {
		t.Errorf("JSON: %v", err)
	}
}

// Equal workloads become one value; one that got a better name is a new one.
func TestWorkloadsAreInterned(t *testing.T) {
	c, d := convert.New("node", "1.0"), convert.NewDecoder()
	decode := func(w *flow.Workload) *flow.Workload {
		t.Helper()
		r := recordtest.New(1, flow.RecordStart)
		r.Flow.Client.Workload = w
		out := c.Flow(&r)
		c.Extend(out, &r)
		got, err := d.Record(throughWire(t, out))
		if err != nil {
			t.Fatal(err)
		}
		return got.Flow.Client.Workload
	}
	a, b := decode(recordtest.Web()), decode(recordtest.Web())
	if a != b {
		t.Error("two equal workloads are two values")
	}
	better := recordtest.Web()
	better.Name = "better"
	if n := decode(better); n == a || n.Name != "better" || a.Name != "shop-web-1" {
		t.Errorf("renamed workload: %q, before %q", n.Name, a.Name)
	}
}

func TestForeignFlows(t *testing.T) {
	d := convert.NewDecoder()
	if _, err := d.Record(&flowpb.Flow{}); !errors.Is(err, convert.ErrNoExtensions) {
		t.Errorf("no extensions: %v", err)
	}
	if _, err := d.Record(&flowpb.Flow{Extensions: &anypb.Any{TypeUrl: "x/google.protobuf.Empty"}}); !errors.Is(err, convert.ErrNoExtensions) {
		t.Errorf("other extensions: %v", err)
	}
	s, _ := structpb.NewStruct(map[string]any{"record": "sideways"})
	a, _ := anypb.New(s)
	if _, err := d.Record(&flowpb.Flow{Extensions: a}); err == nil || errors.Is(err, convert.ErrNoExtensions) {
		t.Errorf("unknown record kind: %v", err)
	}
}

func add(f *testing.F, m *flowpb.Flow) {
	f.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
}

// Whatever a server sends, the decoder neither panics nor gives more than it
// may.
func FuzzDecode(f *testing.F) {
	c := convert.New("node", "1.0")
	for i, k := range []flow.RecordKind{flow.RecordStart, flow.RecordUpdate, flow.RecordEnd, flow.RecordDrop} {
		r := recordtest.New(uint64(i), k)
		out := c.Flow(&r)
		c.Extend(out, &r)
		add(f, out)
	}
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		x := recordtest.Exchange(1, p)
		tally := recordtest.Tally(x, 7)
		for _, r := range []*flow.Record{&x, &tally} {
			out := c.Flow(r)
			c.Extend(out, r)
			add(f, out)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in flowpb.Flow
		if proto.Unmarshal(raw, &in) != nil {
			return
		}
		r, err := convert.NewDecoder().Record(&in)
		if err != nil {
			return
		}
		if r.Kind < flow.RecordStart || r.Kind > flow.RecordL7 || (r.Kind == flow.RecordL7) != (r.L7 != nil) {
			t.Errorf("kind %d, L7 %v", r.Kind, r.L7)
		}
		if l := r.L7; l != nil && (l.Tally == nil) == (l.Exchange == nil) {
			t.Errorf("a tally and an exchange, or neither: %+v", l)
		}
		// What was understood must survive another way round.
		again := convert.New("node", "1.0")
		out := again.Flow(&r)
		again.Extend(out, &r)
		if _, err := convert.NewDecoder().Record(throughWire(t, out)); err != nil {
			t.Errorf("second way: %v", err)
		}
	})
}

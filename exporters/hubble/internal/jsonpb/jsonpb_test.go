package jsonpb

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// reference is what was always written: what encoding/json makes of a message, fit for
// a terminal.
func reference(m any) (string, error) {
	text, err := json.Marshal(m)
	return string(Printable(nil, text)), err
}

// same holds what is written here against protojson, and tells whether it was.
func same(t interface{ Errorf(string, ...any) }, e *Encoder[observerpb.GetFlowsResponse], m *observerpb.GetFlowsResponse) bool {
	got, ok := e.Append([]byte("before "), m, nil)
	if !ok {
		return false
	}
	if want, err := reference(m); err != nil || string(got) != "before "+want {
		t.Errorf("%s\nwant %s, %v", got, want, err)
	}
	return true
}

// Whatever a server may send is as protojson has it.
func FuzzMessage(f *testing.F) {
	e := New[observerpb.GetFlowsResponse]()
	for _, m := range samples(f) {
		if !same(f, e, m) {
			f.Errorf("%v is left to protojson", m)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := &observerpb.GetFlowsResponse{}
		if proto.Unmarshal(wire, m) == nil {
			same(t, e, m)
		}
	})
}

func samples(t testing.TB) (all []*observerpb.GetFlowsResponse) {
	t.Helper()
	ext, err := anypb.New(&structpb.Struct{Fields: map[string]*structpb.Value{"record": structpb.NewStringValue("end\u009b")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*flowpb.Flow{
		{},
		{Verdict: 77, AuthType: -1},
		{Time: timestamppb.New(time.Unix(1_780_000_000, 120_000_000)), Uuid: "<u>", Verdict: flowpb.Verdict_AUDIT, IsReply: nil, Extensions: ext},
		{L4: &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: 1, Flags: &flowpb.TCPFlags{SYN: true}}}}, Summary: "\x1b[2J\x00\b\f\n\r\t\"\\é\u202e\u2028\U000e0001\uFFFD\x7f"},
		{L7: &flowpb.Layer7{LatencyNs: math.MaxUint64, Record: &flowpb.Layer7_Dns{Dns: &flowpb.DNS{Query: "a.", Ips: []string{"", "192.0.2.1"}}}}, SourceNames: []string{"a", "b"}},
		{EgressDeniedBy: []*flowpb.Policy{{Name: "p", Labels: []string{"l"}}, {}}, Extensions: ext, Emitter: &flowpb.Emitter{}},
	} {
		all = append(all, &observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}, NodeName: "node", Time: f.Time})
	}
	return append(all, &observerpb.GetFlowsResponse{}, &observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{
		LostEvents: &flowpb.LostEvent{NumEventsLost: 3, Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER},
	}})
}

// Every field of the schema is as protojson has it, alone and beside others, and written
// here: what a weir or Hubble sends in plenty is not left to protojson unnoticed.
func TestEveryField(t *testing.T) {
	e := New[observerpb.GetFlowsResponse]()
	rapid.Check(t, func(t *rapid.T) {
		m := &observerpb.GetFlowsResponse{}
		fill(t, m.ProtoReflect(), 0)
		if _, err := reference(m); !same(t, e, m) && err == nil && m.GetLostEvents().GetCpu() == nil {
			t.Errorf("%v is left to protojson", m)
		}
	})
}

// What is not allowed is for protojson to refuse.
func TestOdd(t *testing.T) {
	e := New[observerpb.GetFlowsResponse]()
	for _, f := range []*flowpb.Flow{
		nil, {Uuid: "\xff"}, {SourceNames: []string{"ok", "\xe2\x82"}}, {Time: &timestamppb.Timestamp{Nanos: 1e9}},
		{Time: &timestamppb.Timestamp{Seconds: math.MaxInt64}}, {EgressDeniedBy: []*flowpb.Policy{nil}}, {L4: &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{}}},
		{L4: &flowpb.Layer4{Protocol: (*flowpb.Layer4_UDP)(nil)}}, {Extensions: &anypb.Any{}}, {Extensions: &anypb.Any{TypeUrl: "type.googleapis.com/x.Y"}},
		{Extensions: &anypb.Any{TypeUrl: structURL, Value: []byte{1}}},
	} {
		m := &observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}}
		if same(t, e, m) {
			t.Errorf("%v was written", f)
		}
	}
	if _, ok := e.Append(nil, nil, nil); ok {
		t.Error("nothing was written")
	}
}

// Writing takes no memory.
func TestAllocations(t *testing.T) {
	e := New[observerpb.GetFlowsResponse]()
	m := samples(t)[5]
	b := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { e.Append(b, m, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Eight letters at a time find what one at a time does.
func TestPlain(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				s := []byte(strings.Repeat("x", n))
				s[at] = byte(c)
				if plain(string(s)) == special(byte(c)) {
					t.Fatalf("plain(%q) is %v", s, !special(byte(c)))
				}
			}
		}
	}
}

// fill sets some of a message's fields, and seldom to what is not allowed.
func fill(t *rapid.T, m protoreflect.Message, depth int) {
	text := func() string {
		return rapid.OneOf(rapid.String(), rapid.StringN(0, 40, 40), rapid.Just("\x1b<>&\u2028\"\\")).Draw(t, "text")
	}
	switch x := m.Interface().(type) {
	case *anypb.Any:
		s := &structpb.Struct{Fields: map[string]*structpb.Value{text(): structpb.NewStringValue(text()), "n": structpb.NewNumberValue(rapid.Float64().Draw(t, "n"))}}
		b, err := proto.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		x.TypeUrl, x.Value = structURL, b
		return
	case *timestamppb.Timestamp:
		x.Seconds = rapid.OneOf(rapid.Int64Range(-62135596800, 253402300799), rapid.Just[int64](-62135596801)).Draw(t, "seconds")
		x.Nanos = rapid.SampledFrom([]int32{0, 120_000_000, 1_230, 999_999_999, 1, -1}).Draw(t, "nanos")
		return
	}
	fds := m.Descriptor().Fields()
	for i := range fds.Len() {
		if fd := fds.Get(i); rapid.IntRange(0, 2).Draw(t, "set") > depth/2 {
			fillField(t, m, fd, depth, text)
		}
	}
}

func fillField(t *rapid.T, m protoreflect.Message, fd protoreflect.FieldDescriptor, depth int, text func() string) {
	value := func(v protoreflect.Value) protoreflect.Value {
		switch fd.Kind() {
		case protoreflect.StringKind:
			return protoreflect.ValueOfString(text())
		case protoreflect.BytesKind:
			return protoreflect.ValueOfBytes([]byte(text()))
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
		case protoreflect.Int32Kind:
			return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
		case protoreflect.Uint32Kind:
			return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
		case protoreflect.Int64Kind:
			return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
		case protoreflect.Uint64Kind:
			return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(fd.Enum().Values().Get(rapid.IntRange(0, fd.Enum().Values().Len()-1).Draw(t, "enum")).Number())
		case protoreflect.MessageKind:
			fill(t, v.Message(), depth+1)
			return v
		}
		t.Fatalf("%s is a %v", fd.FullName(), fd.Kind())
		return v
	}
	switch {
	case fd.IsList():
		list := m.Mutable(fd).List()
		for range rapid.IntRange(1, 3).Draw(t, "elements") {
			list.Append(value(list.NewElement()))
		}
	default:
		m.Set(fd, value(m.NewField(fd)))
	}
}

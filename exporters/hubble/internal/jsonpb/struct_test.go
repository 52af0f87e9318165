package jsonpb

import (
	"math"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// FuzzStruct holds what is written straight from the wire's bytes against protojson:
// to the byte, and what protojson refuses is refused.
func FuzzStruct(f *testing.F) {
	for _, v := range []map[string]any{
		nil, {"a": nil}, {"n": 1.5, "m": -7, "big": 1e300, "tiny": 1e-9, "int": float64(1 << 53), "minus": math.Copysign(0, -1)},
		{"b": true, "c": false, "text": "<a & \"b\">\u2028\u009b\n\x7f\\ é", "": "empty"},
		{"z": map[string]any{"list": []any{1, "x", nil, map[string]any{"k": []any{}}}, "y": map[string]any{}}, "a": "first"},
	} {
		s, err := structpb.NewStruct(v)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	deep := &structpb.Struct{}
	for range 2 * maxDepth {
		deep = &structpb.Struct{Fields: map[string]*structpb.Value{"d": structpb.NewStructValue(deep)}}
	}
	b, err := proto.Marshal(deep)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, odd := range []string{
		"\x0a\x05\x0a\x01a\x12\x00", "\x0a\x03\x0a\x01a", "\x0a\x04\x12\x02\x20\x01", "\x0a\x04\x12\x02\x08\x05", // no kind, no value, no key, null of 5
		"\x0a\x07\x0a\x01a\x12\x02\x20\x01\x0a\x07\x0a\x01a\x12\x02\x20\x00",                                    // one key twice
		"\x0a\x07\x0a\x01\xff\x12\x02\x20\x01", "\x0a\x0e\x0a\x01a\x12\x09\x11\x00\x00\x00\x00\x00\x00\xf8\x7f", // no UTF-8, NaN
	} {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, ok := appendStruct(nil, wire, 0)
		if !ok {
			return // protojson's turn
		}
		want, err := reference(&flowpb.Flow{Extensions: &anypb.Any{TypeUrl: structURL, Value: wire}})
		if text := `{"extensions":{"@type":"` + structURL + `","value":` + string(got) + "}}"; err != nil || text != want {
			t.Errorf("%q is %s, want %s, %v", wire, text, want, err)
		}
	})
}

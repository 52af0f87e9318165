package otel

import (
	"net/netip"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/seed79351815/weir/exporters/internal/printable"
)

// maxValue bounds the text of an attribute, in bytes.
const maxValue = 1024

// attributes is a list that is being made. What is empty is left out.
type attributes []*commonpb.KeyValue

func (a *attributes) put(key string, v *commonpb.AnyValue) {
	if v != nil {
		*a = append(*a, &commonpb.KeyValue{Key: key, Value: v})
	}
}

func (a *attributes) text(key, s string) { a.put(key, text(s)) }

func (a *attributes) number(key string, n int64) {
	if n != 0 {
		a.put(key, number(n))
	}
}

// text is nil for an empty one.
func text(s string) *commonpb.AnyValue {
	if s == "" {
		return nil
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: clean(s)}}
}

func number(n int64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}
}

func truth(b bool) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: b}}
}

// texts is nil for an empty list.
func texts(list []string) *commonpb.AnyValue {
	if len(list) == 0 {
		return nil
	}
	a := &commonpb.ArrayValue{}
	for _, s := range list {
		a.Values = append(a.Values, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: clean(s)}})
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: a}}
}

// address and port are nil where there is none.
func address(a netip.AddrPort) *commonpb.AnyValue {
	if !a.Addr().IsValid() {
		return nil
	}
	return text(a.Addr().Unmap().WithZone("").String())
}

func port(a netip.AddrPort) *commonpb.AnyValue {
	if a.Port() == 0 {
		return nil
	}
	return number(int64(a.Port()))
}

// clean makes any bytes an attribute's text: protobuf demands UTF-8.
func clean(s string) string { return printable.Text(s, maxValue) }

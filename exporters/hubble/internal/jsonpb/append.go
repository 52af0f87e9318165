package jsonpb

import (
	"reflect"
	"strconv"
	"unsafe"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Append appends m, which nobody may change meanwhile, to b. It is not ok where it is
// for protojson to say what m is, or that it is nothing.
//
// Where extensions is not nil it is the JSON of every field of type Any in m, whatever
// that holds.
func (e *Encoder[M]) Append(b []byte, m *M, extensions []byte) (out []byte, ok bool) {
	return e.plan.append(b, unsafe.Pointer(m), extensions)
}

func (p *plan) append(b []byte, m unsafe.Pointer, extensions []byte) (out []byte, ok bool) {
	if p.odd || m == nil {
		return b, false
	}
	begin := len(b)
	for i := range p.fields {
		f := &p.fields[i]
		if f.empty(m) && (f.kind != kindAny || extensions == nil) {
			continue
		}
		if b, ok = f.append(append(b, f.name...), unsafe.Add(m, f.offset), extensions); !ok {
			return b, false
		}
	}
	if len(b) == begin {
		return append(b, "{}"...), true
	}
	b[begin] = '{' // in place of the first field's comma
	return append(b, '}'), true
}

// empty tells whether a field of m is one that JSON leaves out. Most are, so this is
// what takes time: of a text and a list it looks at the length.
func (f *field) empty(m unsafe.Pointer) bool {
	at := unsafe.Add(m, f.probe)
	switch f.width {
	case 8:
		return *(*uint64)(at) == 0
	case 4:
		return *(*uint32)(at) == 0
	case 1:
		return *(*uint8)(at) == 0
	}
	return reflect.NewAt(f.typ, at).Elem().IsZero()
}

// append writes the value that lies at at.
func (f *field) append(b []byte, at unsafe.Pointer, extensions []byte) (out []byte, ok bool) {
	switch f.kind {
	case kindText:
		return AppendText(b, *(*string)(at))
	case kindTexts:
		return appendTexts(b, *(*[]string)(at))
	case kindBool:
		return strconv.AppendBool(b, *(*bool)(at)), true
	case kindInt32:
		return strconv.AppendInt(b, int64(*(*int32)(at)), 10), true
	case kindUint32:
		return strconv.AppendUint(b, uint64(*(*uint32)(at)), 10), true
	case kindInt64:
		return append(strconv.AppendInt(append(b, '"'), *(*int64)(at), 10), '"'), true
	case kindUint64:
		return append(strconv.AppendUint(append(b, '"'), *(*uint64)(at), 10), '"'), true
	case kindEnum:
		return f.value(b, *(*int32)(at)), true
	case kindMessage:
		return f.message.append(b, *(*unsafe.Pointer)(at), extensions)
	case kindMessages:
		return f.messages(b, *(*[]unsafe.Pointer)(at), extensions)
	case kindOneof:
		return f.oneof(b, at, extensions)
	case kindTime:
		t := *(**timestamppb.Timestamp)(at)
		return appendTime(b, t.GetSeconds(), t.GetNanos())
	case kindTruth:
		return strconv.AppendBool(b, (*(**wrapperspb.BoolValue)(at)).GetValue()), true
	case kindAny:
		if extensions != nil {
			return append(b, extensions...), true
		}
		return appendAny(b, *(**anypb.Any)(at))
	}
	return b, false
}

// value writes an enum's value, which may be one that is not known here.
func (f *field) value(b []byte, n int32) []byte {
	if n >= 0 && int(n) < len(f.enum) && f.enum[n] != "" {
		return append(b, f.enum[n]...)
	}
	return strconv.AppendInt(b, int64(n), 10)
}

func appendTexts(b []byte, list []string) (out []byte, ok bool) {
	for i, s := range list {
		b = append(b, "[,"[min(i, 1)])
		if b, ok = AppendText(b, s); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

func (f *field) messages(b []byte, list []unsafe.Pointer, extensions []byte) (out []byte, ok bool) {
	for i, m := range list {
		b = append(b, "[,"[min(i, 1)])
		if b, ok = f.message.append(b, m, extensions); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

// oneof writes the member that is set: an interface at at points to it.
func (f *field) oneof(b []byte, at unsafe.Pointer, extensions []byte) (out []byte, ok bool) {
	v := reflect.NewAt(f.typ, at).Elem().Elem()
	for i := range f.members {
		if m := &f.members[i]; m.wrapper == v.Type() && !v.IsNil() {
			return m.field.append(append(b, m.field.name...), unsafe.Add(v.UnsafePointer(), m.field.offset), extensions)
		}
	}
	return b, false
}

// appendAny writes an Any that holds weir's own extensions.
func appendAny(b []byte, x *anypb.Any) (out []byte, ok bool) {
	if x.GetTypeUrl() != structURL {
		return b, false
	}
	b = append(b, `{"@type":"`+structURL+`","value":`...)
	if b, ok = appendStruct(b, x.GetValue(), 0); !ok {
		return b, false
	}
	return append(b, '}'), true
}

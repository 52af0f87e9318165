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
		if b, ok = p.fields[i].append(b, unsafe.Add(m, p.fields[i].offset), extensions, false); !ok {
			return b, false
		}
	}
	if len(b) == begin {
		return append(b, "{}"...), true
	}
	b[begin] = '{' // in place of the first field's comma
	return append(b, '}'), true
}

// append writes the field that lies at at, unless it is empty and always is false.
func (f *field) append(b []byte, at unsafe.Pointer, extensions []byte, always bool) (out []byte, ok bool) {
	switch f.kind {
	case kindText:
		if s := *(*string)(at); s != "" || always {
			return AppendText(append(b, f.name...), s)
		}
	case kindTexts:
		return f.texts(b, *(*[]string)(at))
	case kindBool:
		if v := *(*bool)(at); v || always {
			b = strconv.AppendBool(append(b, f.name...), v)
		}
	case kindInt32:
		if n := *(*int32)(at); n != 0 || always {
			b = strconv.AppendInt(append(b, f.name...), int64(n), 10)
		}
	case kindUint32:
		if n := *(*uint32)(at); n != 0 || always {
			b = strconv.AppendUint(append(b, f.name...), uint64(n), 10)
		}
	case kindInt64:
		if n := *(*int64)(at); n != 0 || always {
			b = append(strconv.AppendInt(append(append(b, f.name...), '"'), n, 10), '"')
		}
	case kindUint64:
		if n := *(*uint64)(at); n != 0 || always {
			b = append(strconv.AppendUint(append(append(b, f.name...), '"'), n, 10), '"')
		}
	case kindEnum:
		if n := *(*int32)(at); n != 0 || always {
			b = f.value(append(b, f.name...), n)
		}
	case kindMessage:
		if m := *(*unsafe.Pointer)(at); m != nil || always {
			return f.message.append(append(b, f.name...), m, extensions)
		}
	case kindMessages:
		return f.messages(b, *(*[]unsafe.Pointer)(at), extensions)
	case kindOneof:
		return f.oneof(b, at, extensions)
	case kindTime:
		if t := *(**timestamppb.Timestamp)(at); t != nil || always {
			if t == nil {
				return b, false
			}
			return appendTime(append(b, f.name...), t.Seconds, t.Nanos)
		}
	case kindTruth:
		if v := *(**wrapperspb.BoolValue)(at); v != nil || always {
			if v == nil {
				return b, false
			}
			b = strconv.AppendBool(append(b, f.name...), v.GetValue())
		}
	case kindAny:
		if extensions != nil {
			return append(append(b, f.name...), extensions...), true
		}
		if x := *(**anypb.Any)(at); x != nil || always {
			return appendAny(append(b, f.name...), x)
		}
	default:
		return b, !always && reflect.NewAt(f.typ, at).Elem().IsZero()
	}
	return b, true
}

// value writes an enum's value, which may be one that is not known here.
func (f *field) value(b []byte, n int32) []byte {
	if n >= 0 && int(n) < len(f.enum) && f.enum[n] != "" {
		return append(b, f.enum[n]...)
	}
	return strconv.AppendInt(b, int64(n), 10)
}

func (f *field) texts(b []byte, list []string) (out []byte, ok bool) {
	if len(list) == 0 {
		return b, true
	}
	b = append(b, f.name...)
	for i, s := range list {
		b = append(b, "[,"[min(i, 1)])
		if b, ok = AppendText(b, s); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

func (f *field) messages(b []byte, list []unsafe.Pointer, extensions []byte) (out []byte, ok bool) {
	if len(list) == 0 {
		return b, true
	}
	b = append(b, f.name...)
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
	v := reflect.NewAt(f.typ, at).Elem()
	if v.IsNil() {
		return b, true
	}
	v = v.Elem()
	for i := range f.members {
		if m := &f.members[i]; m.wrapper == v.Type() && !v.IsNil() {
			return m.field.append(b, unsafe.Add(v.UnsafePointer(), m.field.offset), extensions, true)
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

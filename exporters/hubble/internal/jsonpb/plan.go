package jsonpb

import (
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// plan says how messages of a type are written.
type plan struct {
	fields []field // in the order of the schema
	odd    bool    // nothing is known of how its messages lie in memory
}

// field is one of a message's struct, and what becomes of it.
type field struct {
	kind    kind
	offset  uintptr      // in the struct
	probe   uintptr      // in the struct, of what is zero where the field is not set,
	width   uint8        // and of how many bytes that is; 0 is for reflection to tell
	typ     reflect.Type // of the struct's field
	name    string       // with a comma before and a colon behind; empty for a oneof
	message *plan        // of a message, or of the elements of a list of them
	enum    []string     // names in quotes, by number; empty where there is none
	members []member     // of a oneof
}

// kind is how a field lies in memory and what JSON it is.
type kind uint8

const (
	kindOdd kind = iota // protojson's, unless it is not set
	kindText
	kindTexts
	kindBool
	kindInt32
	kindUint32
	kindInt64
	kindUint64
	kindEnum
	kindMessage
	kindMessages
	kindOneof
	kindTime
	kindTruth // a google.protobuf.BoolValue
	kindAny
)

// member is one of a oneof: a struct of one field, which the message points to.
type member struct {
	wrapper reflect.Type // the pointer
	field   field
}

// plans are those of a type and of all that its messages hold.
type plans map[reflect.Type]*plan

// of is the plan of a message whose type is a pointer to a generated struct.
func (ps plans) of(m protoreflect.Message) *plan {
	typ := reflect.TypeOf(m.Interface())
	if p, ok := ps[typ]; ok {
		return p
	}
	p := &plan{}
	ps[typ] = p
	d := m.Descriptor()
	p.odd = d.Syntax() != protoreflect.Proto3 || typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct
	for i := 0; i < d.Fields().Len() && !p.odd; i++ {
		fd := d.Fields().Get(i)
		o := fd.ContainingOneof()
		if o != nil && !o.IsSynthetic() {
			// The schema has its members in one place: the first stands for all.
			if o.Fields().Get(0) == fd {
				p.add(ps.oneof(typ.Elem(), m, o))
			}
			continue
		}
		sf, ok := numbered(typ.Elem(), fd)
		p.add(ps.field(sf, m, fd), ok)
	}
	return p
}

func (p *plan) add(f field, ok bool) {
	p.fields = append(p.fields, f)
	p.odd = p.odd || !ok
}

// numbered is the struct's field for one of the schema's.
func numbered(typ reflect.Type, fd protoreflect.FieldDescriptor) (reflect.StructField, bool) {
	for sf := range fields(typ) {
		parts := strings.Split(sf.Tag.Get("protobuf"), ",")
		if len(parts) > 1 && parts[1] == strconv.Itoa(int(fd.Number())) {
			return sf, true
		}
	}
	return reflect.StructField{}, false
}

func fields(typ reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := 0; i < typ.NumField() && yield(typ.Field(i)); i++ {
		}
	}
}

func (ps plans) oneof(typ reflect.Type, m protoreflect.Message, o protoreflect.OneofDescriptor) (f field, ok bool) {
	for sf := range fields(typ) {
		if sf.Tag.Get("protobuf_oneof") == string(o.Name()) && sf.Type.Kind() == reflect.Interface {
			f, ok = field{offset: sf.Offset, probe: sf.Offset, typ: sf.Type}, true
			f.is(kindOneof, true)
			for i := range o.Fields().Len() {
				fd := o.Fields().Get(i)
				full := m.New() // with the member set, to see what is in the struct then
				full.Set(fd, full.NewField(fd))
				wrapper := reflect.ValueOf(full.Interface()).Elem().FieldByIndex(sf.Index).Elem().Type()
				inner, found := numbered(wrapper.Elem(), fd)
				f.members = append(f.members, member{wrapper, ps.field(inner, m, fd)})
				ok = ok && found
			}
		}
	}
	return f, ok
}

// field is how one of the schema's fields is written that lies in sf. m is its message.
func (ps plans) field(sf reflect.StructField, m protoreflect.Message, fd protoreflect.FieldDescriptor) field {
	f := field{offset: sf.Offset, probe: sf.Offset, typ: sf.Type, name: "," + strconv.Quote(fd.TextName()) + ":"}
	if sf.Type == nil || fd.HasOptionalKeyword() || fd.IsMap() {
		return f
	}
	if fd.IsList() {
		switch fd.Kind() {
		case protoreflect.StringKind:
			f.is(kindTexts, sf.Type == reflect.TypeFor[[]string]())
		case protoreflect.MessageKind:
			element := m.NewField(fd).List().NewElement().Message()
			if f.message = ps.of(element); !wellKnown(fd) {
				f.is(kindMessages, sf.Type == reflect.SliceOf(reflect.TypeOf(element.Interface())))
			}
		}
		return f
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		f.is(kindText, sf.Type.Kind() == reflect.String)
	case protoreflect.BoolKind:
		f.is(kindBool, sf.Type.Kind() == reflect.Bool)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		f.is(kindInt32, sf.Type.Kind() == reflect.Int32)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		f.is(kindUint32, sf.Type.Kind() == reflect.Uint32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		f.is(kindInt64, sf.Type.Kind() == reflect.Int64)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		f.is(kindUint64, sf.Type.Kind() == reflect.Uint64)
	case protoreflect.EnumKind:
		f.enum = enumNames(fd.Enum())
		f.is(kindEnum, sf.Type.Kind() == reflect.Int32 && f.enum != nil)
	case protoreflect.MessageKind:
		switch sf.Type {
		case reflect.TypeFor[*timestamppb.Timestamp]():
			f.is(kindTime, true)
		case reflect.TypeFor[*wrapperspb.BoolValue]():
			f.is(kindTruth, true)
		case reflect.TypeFor[*anypb.Any]():
			f.is(kindAny, true)
		default:
			inner := m.NewField(fd).Message()
			if !wellKnown(fd) {
				f.message = ps.of(inner)
				f.is(kindMessage, sf.Type == reflect.TypeOf(inner.Interface()))
			}
		}
	}
	return f
}

// is sets the kind if the struct's field is as that needs it.
func (f *field) is(k kind, fits bool) {
	if !fits {
		return
	}
	f.kind = k
	switch k {
	case kindBool:
		f.width = 1
	case kindInt32, kindUint32, kindEnum:
		f.width = 4
	case kindInt64, kindUint64:
		f.width = 8
	case kindText, kindTexts, kindMessages:
		f.width, f.probe = uint8(unsafe.Sizeof(0)), f.offset+unsafe.Sizeof(unsafe.Pointer(nil)) // its length
	default: // begins with a pointer
		f.width = uint8(unsafe.Sizeof(unsafe.Pointer(nil)))
	}
}

// wellKnown tells whether a message's JSON is not that of its fields.
func wellKnown(fd protoreflect.FieldDescriptor) bool {
	return fd.Message().FullName().Parent() == "google.protobuf"
}

// maxEnum bounds the numbers of an enum that is written here.
const maxEnum = 4096

func enumNames(e protoreflect.EnumDescriptor) (names []string) {
	if e.FullName() == "google.protobuf.NullValue" {
		return nil
	}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		n := int(v.Number())
		if n < 0 || n > maxEnum {
			return nil
		}
		for len(names) <= n {
			names = append(names, "")
		}
		if names[n] == "" { // the first of several names
			names[n] = strconv.Quote(string(v.Name()))
		}
	}
	return names
}

// Encoder writes messages of one type, a pointer to a generated struct. It may be used
// by many goroutines at once.
type Encoder[M any] struct{ plan *plan }

// New works out how messages of M are written, which takes a millisecond.
func New[M any, P interface {
	*M
	proto.Message
}]() *Encoder[M] {
	return &Encoder[M]{plans{}.of(P(new(M)).ProtoReflect())}
}

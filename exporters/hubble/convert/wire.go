package convert

import (
	"math"
	"net/netip"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// object is a google.protobuf.Struct in the making, written as wire bytes at
// once: a map of boxed values would cost ten times as much, for every flow.
// Fields with the zero value are left out.
type object struct{ b []byte }

// The field numbers of google/protobuf/struct.proto.
const (
	structFields = 1 // Struct.fields, a map
	mapKey       = 1
	mapValue     = 2
	valueNumber  = 2
	valueString  = 3
	valueBool    = 4
	valueStruct  = 5
	valueList    = 6
	listValues   = 1
)

// field appends one entry of the map whose Value is value's bytes.
func (o *object) field(key string, value []byte) {
	n := protowire.SizeTag(mapKey) + protowire.SizeBytes(len(key)) + protowire.SizeTag(mapValue) + protowire.SizeBytes(len(value))
	o.b = protowire.AppendTag(o.b, structFields, protowire.BytesType)
	o.b = protowire.AppendVarint(o.b, uint64(n))
	o.b = protowire.AppendTag(o.b, mapKey, protowire.BytesType)
	o.b = protowire.AppendString(o.b, key)
	o.b = protowire.AppendTag(o.b, mapValue, protowire.BytesType)
	o.b = protowire.AppendBytes(o.b, value)
}

// number writes n as a JSON number as long as that is exact, else as text.
func (o *object) number(key string, n uint64) {
	if n == 0 {
		return
	}
	if n > maxExact {
		o.text(key, strconv.FormatUint(n, 10))
		return
	}
	var buf [16]byte
	v := protowire.AppendTag(buf[:0], valueNumber, protowire.Fixed64Type)
	o.field(key, protowire.AppendFixed64(v, math.Float64bits(float64(n))))
}

// maxExact is the greatest integer up to which a double has all of them.
const maxExact = 1 << 53

func (o *object) text(key, s string) {
	if s == "" {
		return
	}
	s = valid(s)
	v := make([]byte, 0, len(s)+8)
	v = protowire.AppendTag(v, valueString, protowire.BytesType)
	o.field(key, protowire.AppendString(v, s))
}

func (o *object) flag(key string, on bool) {
	if !on {
		return
	}
	var buf [4]byte
	v := protowire.AppendTag(buf[:0], valueBool, protowire.VarintType)
	o.field(key, protowire.AppendVarint(v, 1))
}

// object writes sub, unless it is empty and keep is false.
func (o *object) object(key string, sub object, keep bool) {
	if len(sub.b) == 0 && !keep {
		return
	}
	v := make([]byte, 0, len(sub.b)+8)
	v = protowire.AppendTag(v, valueStruct, protowire.BytesType)
	o.field(key, protowire.AppendBytes(v, sub.b))
}

// addresses writes a list of addresses as strings.
func (o *object) addresses(key string, addrs []netip.Addr) {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.WithZone("").String()
	}
	o.texts(key, list)
}

// texts writes a list of strings.
func (o *object) texts(key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	var list []byte
	for _, s := range texts {
		v := protowire.AppendTag(nil, valueString, protowire.BytesType)
		v = protowire.AppendString(v, valid(s))
		list = protowire.AppendTag(list, listValues, protowire.BytesType)
		list = protowire.AppendBytes(list, v)
	}
	o.field(key, protowire.AppendBytes(protowire.AppendTag(nil, valueList, protowire.BytesType), list))
}

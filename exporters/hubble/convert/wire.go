package convert

import (
	"math"
	"net/netip"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// object is a google.protobuf.Struct in the making, written at once as wire bytes or
// as its JSON: a map of boxed values would cost ten times as much, for every flow.
// Fields with the zero value are left out. Objects in it are written into the same
// bytes. Fields are written in the order of their names, as JSON has them.
type object struct {
	b    []byte
	c    *Converter // knows workloads; only an object with an end needs it
	json bool
}

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

// head appends what stands before the Value of one entry of the map, which takes
// size bytes.
func (o *object) head(key string, size int) {
	const around = 4                             // bytes of tags and lengths within, where each length is one byte
	if n := around + len(key) + size; n < 0x80 { // nearly always, and three times as fast
		o.b = append(o.b, structFields<<3|byte(protowire.BytesType), byte(n), mapKey<<3|byte(protowire.BytesType), byte(len(key)))
		o.b = append(o.b, key...)
		o.b = append(o.b, mapValue<<3|byte(protowire.BytesType), byte(size))
		return
	}
	n := protowire.SizeTag(mapKey) + protowire.SizeBytes(len(key)) + protowire.SizeTag(mapValue) + protowire.SizeBytes(size)
	o.b = protowire.AppendTag(o.b, structFields, protowire.BytesType)
	o.b = protowire.AppendVarint(o.b, uint64(n))
	o.b = protowire.AppendTag(o.b, mapKey, protowire.BytesType)
	o.b = protowire.AppendString(o.b, key)
	o.b = protowire.AppendTag(o.b, mapValue, protowire.BytesType)
	o.b = protowire.AppendVarint(o.b, uint64(size))
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
	if o.json {
		o.key(key)
		o.b = strconv.AppendUint(o.b, n, 10)
		return
	}
	o.head(key, protowire.SizeTag(valueNumber)+protowire.SizeFixed64())
	o.b = protowire.AppendTag(o.b, valueNumber, protowire.Fixed64Type)
	o.b = protowire.AppendFixed64(o.b, math.Float64bits(float64(n)))
}

// maxExact is the greatest integer up to which a double has all of them.
const maxExact = 1 << 53

func (o *object) text(key, s string) {
	if s == "" {
		return
	}
	if o.json {
		o.key(key)
		o.quoted(s)
		return
	}
	s = valid(s)
	o.head(key, protowire.SizeTag(valueString)+protowire.SizeBytes(len(s)))
	o.b = protowire.AppendTag(o.b, valueString, protowire.BytesType)
	o.b = protowire.AppendString(o.b, s)
}

func (o *object) flag(key string, on bool) {
	if !on {
		return
	}
	if o.json {
		o.key(key)
		o.b = append(o.b, "true"...)
		return
	}
	o.head(key, protowire.SizeTag(valueBool)+protowire.SizeVarint(1))
	o.b = protowire.AppendTag(o.b, valueBool, protowire.VarintType)
	o.b = protowire.AppendVarint(o.b, 1)
}

// object writes an object whose fields write writes, unless there are none and
// keep is false.
func (o *object) object(key string, keep bool, write func(*object)) {
	if o.json {
		o.inner(key, keep, write)
		return
	}
	o.nested(key, valueStruct, keep, write)
}

// nested writes a Value that is a message in field num. Its length stands before it
// and is known after it: then it moves.
func (o *object) nested(key string, num protowire.Number, keep bool, write func(*object)) {
	begin := len(o.b)
	write(o)
	size := len(o.b) - begin
	if size == 0 && !keep {
		return
	}
	o.head(key, protowire.SizeTag(num)+protowire.SizeBytes(size))
	o.b = protowire.AppendTag(o.b, num, protowire.BytesType)
	o.b = protowire.AppendVarint(o.b, uint64(size))
	var room [128]byte // keys are short
	head := append(room[:0], o.b[begin+size:]...)
	copy(o.b[begin+len(head):], o.b[begin:begin+size])
	copy(o.b[begin:], head)
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
	switch {
	case len(texts) == 0:
	case o.json:
		o.list(key, texts)
	default:
		o.nested(key, valueList, false, func(o *object) {
			for _, s := range texts {
				s = valid(s)
				n := protowire.SizeTag(valueString) + protowire.SizeBytes(len(s))
				o.b = protowire.AppendTag(o.b, listValues, protowire.BytesType)
				o.b = protowire.AppendVarint(o.b, uint64(n))
				o.b = protowire.AppendTag(o.b, valueString, protowire.BytesType)
				o.b = protowire.AppendString(o.b, s)
			}
		})
	}
}

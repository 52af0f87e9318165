package jsonpb

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// structURL is the type of weir's own extensions.
const structURL = "type.googleapis.com/google.protobuf.Struct"

// maxDepth bounds the nesting of a Struct that is written here.
const maxDepth = 32

// appendStruct writes a google.protobuf.Struct as JSON, to the byte as encoding/json
// writes what protojson makes of it, but straight from its wire bytes: by way of
// boxed values it would cost three times what the rest of the flow does. What is odd
// (damaged, too deep, a number that JSON does not have) is not ok, and protojson's.
func appendStruct(b, wire []byte, depth int) (out []byte, ok bool) {
	if depth > maxDepth {
		return b, false
	}
	var list [24]entry
	all := list[:0]
	ok = eachField(wire, func(n protowire.Number, _ protowire.Type, v []byte, _ uint64) bool {
		if n != 1 || v == nil {
			return false
		}
		var e entry
		ok := eachField(v, func(n protowire.Number, _ protowire.Type, v []byte, _ uint64) bool {
			part := &e.key
			if n == 2 {
				part = &e.value
			}
			// What comes in pieces is for protojson to put together.
			if n > 2 || v == nil || *part != nil {
				return false
			}
			*part = v
			return true
		})
		all = append(all, e)
		return ok
	})
	if !ok {
		return b, false
	}
	slices.SortFunc(all, func(x, y entry) int { return bytes.Compare(x.key, y.key) })
	b = append(b, '{')
	for i, e := range all {
		if i > 0 {
			if bytes.Equal(e.key, all[i-1].key) {
				return b, false
			}
			b = append(b, ',')
		}
		if b, ok = appendBytes(b, e.key); !ok {
			return b, false
		}
		b = append(b, ':')
		if b, ok = appendValue(b, e.value, depth); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

// entry is one of a Struct's map.
type entry struct{ key, value []byte }

// The field numbers of google.protobuf.Value.
const (
	valueNull = iota + 1
	valueNumber
	valueText
	valueTruth
	valueObject
	valueList
)

// valueTypes are the wire types of those fields.
var valueTypes = [valueList + 1]protowire.Type{
	valueNull: protowire.VarintType, valueNumber: protowire.Fixed64Type, valueText: protowire.BytesType,
	valueTruth: protowire.VarintType, valueObject: protowire.BytesType, valueList: protowire.BytesType,
}

func appendValue(b, wire []byte, depth int) (out []byte, ok bool) {
	n, v, bits, ok := single(wire)
	if !ok {
		return b, false
	}
	switch n {
	case valueNull:
		return append(b, "null"...), bits == 0
	case valueNumber:
		return appendNumber(b, math.Float64frombits(bits))
	case valueText:
		return appendBytes(b, v)
	case valueTruth:
		return strconv.AppendBool(b, bits != 0), true
	case valueObject:
		return appendStruct(b, v, depth+1)
	case valueList:
		if depth >= maxDepth {
			return b, false
		}
		b = append(b, '[')
		first := true
		ok = eachField(v, func(n protowire.Number, _ protowire.Type, v []byte, _ uint64) (ok bool) {
			if n != 1 || v == nil {
				return false
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b, ok = appendValue(b, v, depth+1)
			return ok
		})
		return append(b, ']'), ok
	}
	return b, false
}

// single is a message's only field.
func single(wire []byte) (n protowire.Number, v []byte, bits uint64, ok bool) {
	count := 0
	ok = eachField(wire, func(number protowire.Number, typ protowire.Type, value []byte, b uint64) bool {
		n, v, bits = number, value, b
		count++
		return n > 0 && n <= valueList && typ == valueTypes[n]
	})
	return n, v, bits, ok && count == 1
}

// eachField gives each field of a message: v is what has a length, and not nil then;
// else bits is its value. It is false where a message is damaged, or each says so.
func eachField(wire []byte, each func(n protowire.Number, typ protowire.Type, v []byte, bits uint64) bool) bool {
	for len(wire) > 0 {
		n, typ, size := protowire.ConsumeTag(wire)
		if size < 0 {
			return false
		}
		wire = wire[size:]
		var v []byte
		var bits uint64
		switch typ {
		case protowire.BytesType:
			if v, size = protowire.ConsumeBytes(wire); v == nil {
				v = []byte{}
			}
		case protowire.VarintType:
			bits, size = protowire.ConsumeVarint(wire)
		case protowire.Fixed64Type:
			bits, size = protowire.ConsumeFixed64(wire)
		default:
			return false
		}
		if size < 0 || !each(n, typ, v, bits) {
			return false
		}
		wire = wire[size:]
	}
	return true
}

func appendBytes(b, s []byte) ([]byte, bool) {
	return AppendText(b, unsafe.String(unsafe.SliceData(s), len(s)))
}

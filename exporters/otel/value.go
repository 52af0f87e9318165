package otel

import (
	"encoding/binary"
	"math"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/seed79351815/weir/exporters/internal/printable"
)

// maxValue bounds the text of an attribute, in bytes.
const maxValue = 1024

// valueKind is which of an attribute value's types it has.
type valueKind uint8

const (
	absent valueKind = iota // the attribute is left out
	textual
	numeric
	logical
	fractional
	addressed // an IPv4 address, which becomes text
	listed    // of texts
)

// value is an attribute's. The zero value is none. It takes next to no memory of its
// own, and is cleaned when it is written.
type value struct {
	kind   valueKind
	number uint64 // an integer, a truth, an address or a float's bits
	text   string
	list   *[]string
}

// text is absent where it is empty.
func text(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: textual, text: s}
}

func number(n int64) value { return value{kind: numeric, number: uint64(n)} }

// some is absent for 0, which stands for what is not known.
func some(n uint64) value {
	if n == 0 {
		return value{}
	}
	return number(int64(min(n, math.MaxInt64)))
}

func truth(b bool) value {
	v := value{kind: logical}
	if b {
		v.number = 1
	}
	return v
}

func onlyTrue(b bool) value {
	if !b {
		return value{}
	}
	return truth(true)
}

// seconds is absent for what was not measured.
func seconds(ns int64) value {
	if ns <= 0 {
		return value{}
	}
	return value{kind: fractional, number: math.Float64bits(float64(ns) / 1e9)}
}

// texts is absent for an empty list.
func texts(list []string) value {
	if len(list) == 0 {
		return value{}
	}
	return value{kind: listed, list: &list}
}

// address and port are absent where there is none.
func address(a netip.AddrPort) value {
	switch ip := a.Addr().Unmap(); {
	case ip.Is4():
		b := ip.As4()
		return value{kind: addressed, number: uint64(binary.BigEndian.Uint32(b[:]))}
	case ip.IsValid():
		return text(ip.WithZone("").String())
	}
	return value{}
}

// ip is an address' own.
func (v value) ip() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(v.number))
	return netip.AddrFrom4(b)
}

func port(a netip.AddrPort) value { return some(uint64(a.Port())) }

// String is a text or an address as it is written; empty for others.
func (v value) String() string {
	switch v.kind {
	case textual:
		return clean(v.text)
	case addressed:
		return v.ip().String()
	}
	return ""
}

// clean makes any bytes an attribute's text: protobuf demands UTF-8.
func clean(s string) string { return printable.Text(s, maxValue) }

// Fields of OTLP's KeyValue, AnyValue and ArrayValue.
const (
	keyField        field = 1
	valueField      field = 2
	stringField     field = 1
	boolField       field = 2
	intField        field = 3
	doubleField     field = 4
	arrayField      field = 5
	arrayValueField field = 1

	keyTag    = byte(keyField)<<3 | byte(protowire.BytesType)
	valueTag  = byte(valueField)<<3 | byte(protowire.BytesType)
	stringTag = byte(stringField)<<3 | byte(protowire.BytesType)
)

// attribute writes one, as a KeyValue in a field of what has it.
func (w *wire) attribute(f field, key string, v value) {
	switch v.kind {
	case absent:
	case textual:
		w.textAttribute(f, key, clean(v.text))
	case addressed:
		var b [len("255.255.255.255")]byte
		w.textAttribute(f, key, string(v.ip().AppendTo(b[:0])))
	case numeric:
		w.key(f, key, 1+protowire.SizeVarint(v.number))
		*w = protowire.AppendVarint(protowire.AppendTag(*w, intField, protowire.VarintType), v.number)
	case logical:
		w.key(f, key, 2)
		*w = protowire.AppendVarint(protowire.AppendTag(*w, boolField, protowire.VarintType), v.number)
	case fractional:
		w.key(f, key, 9)
		w.always64(doubleField, v.number)
	case listed:
		begin := w.open(f)
		w.text(keyField, key)
		any, array := w.open(valueField), w.open(arrayField)
		for _, s := range *v.list {
			one := w.open(arrayValueField)
			*w = protowire.AppendString(append(*w, stringTag), clean(s))
			w.close(one)
		}
		w.close(array)
		w.close(any)
		w.close(begin)
	}
}

func (w *wire) textAttribute(f field, key, s string) {
	w.key(f, key, 1+protowire.SizeBytes(len(s)))
	*w = protowire.AppendString(append(*w, stringTag), s)
}

// key begins an attribute whose AnyValue is of so many bytes, which follow.
func (w *wire) key(f field, key string, size int) {
	b := *w
	if whole := len(key) + size + 4; whole < 1<<7 && f < 1<<4 { // as most are: each length takes one byte
		b = append(b, byte(f)<<3|byte(protowire.BytesType), byte(whole), keyTag, byte(len(key)))
		*w = append(append(b, key...), valueTag, byte(size))
		return
	}
	b = protowire.AppendTag(b, f, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(key))+1+protowire.SizeBytes(size)))
	b = protowire.AppendString(append(b, keyTag), key)
	*w = protowire.AppendVarint(append(b, valueTag), uint64(size))
}

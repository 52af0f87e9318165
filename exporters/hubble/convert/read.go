package convert

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/seed79351815/weir/collector/flow"
)

// reader reads a google.protobuf.Struct from its wire bytes, without making the
// map of boxed values that it stands for: the other half of object. A field
// that is absent or of another type reads as the zero value.
type reader struct {
	fields []entry
	arena  *arena
}

// arena is room for the fields of one flow's Structs, used again for the next.
type arena []entry

type entry struct {
	key   []byte
	value value
}

// value is a Value: kind is its field number, raw the bytes of a string, a
// Struct or a list.
type value struct {
	kind   protowire.Number
	number float64
	raw    []byte
}

// maxFields bounds one Struct: the more there are, the longer a look-up takes.
const maxFields = 256

var errStruct = errors.New("malformed Struct")

// read splits a Struct into its fields, which alias b and are valid until the
// arena is emptied.
func (a *arena) read(b []byte) (reader, error) {
	start := len(*a)
	err := eachField(b, func(num protowire.Number, raw []byte) error {
		if num != structFields || len(*a)-start == maxFields {
			return nil
		}
		var e entry
		err := eachField(raw, func(num protowire.Number, raw []byte) (err error) {
			switch num {
			case mapKey:
				e.key = raw
			case mapValue:
				e.value, err = readValue(raw)
			}
			return err
		})
		*a = append(*a, e)
		return err
	})
	return reader{(*a)[start:], a}, err
}

// eachField calls do for each length-delimited field of a message and passes
// over all others.
func eachField(b []byte, do func(num protowire.Number, raw []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errStruct
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return errStruct
			}
			b = b[n:]
			continue
		}
		raw, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errStruct
		}
		b = b[n:]
		if err := do(num, raw); err != nil {
			return err
		}
	}
	return nil
}

func readValue(b []byte) (v value, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return v, errStruct
		}
		b = b[n:]
		switch {
		case num == valueNumber && typ == protowire.Fixed64Type:
			var bits uint64
			bits, n = protowire.ConsumeFixed64(b)
			v = value{kind: num, number: math.Float64frombits(bits)}
		case num == valueBool && typ == protowire.VarintType:
			var on uint64
			on, n = protowire.ConsumeVarint(b)
			v = value{kind: num, number: float64(min(on, 1))}
		case typ == protowire.BytesType:
			var raw []byte
			raw, n = protowire.ConsumeBytes(b)
			v = value{kind: num, raw: raw}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return v, errStruct
		}
		b = b[n:]
	}
	return v, nil
}

// find gives the last field of that name, as protobuf's maps do.
func (o reader) find(key string) (value, bool) {
	for i := len(o.fields) - 1; i >= 0; i-- {
		if string(o.fields[i].key) == key {
			return o.fields[i].value, true
		}
	}
	return value{}, false
}

// object is a Struct within o; ok is false when there is none.
func (o reader) object(key string) (sub reader, ok bool) {
	v, _ := o.find(key)
	if v.kind != valueStruct {
		return reader{}, false
	}
	sub, err := o.arena.read(v.raw)
	return sub, err == nil
}

func (o reader) flag(key string) bool {
	v, _ := o.find(key)
	return v.kind == valueBool && v.number != 0
}

func (o reader) text(key string) string {
	v, _ := o.find(key)
	if v.kind != valueString {
		return ""
	}
	return valid(string(v.raw[:min(len(v.raw), maxText)]))
}

func (o reader) number(key string) uint64 {
	v, _ := o.find(key)
	switch {
	case v.kind == valueNumber && v.number >= 0 && v.number <= maxExact:
		return uint64(v.number)
	case v.kind == valueString:
		if n, err := strconv.ParseUint(string(v.raw), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// counters reads the counters under key.
func (o reader) counters(key string) flow.Counters {
	c, _ := o.object(key)
	return flow.Counters{Packets: c.number("packets"), Payload: c.number("payload_bytes"), Wire: c.number("wire_bytes")}
}

func (o reader) instant(key string) int64 {
	t, err := time.Parse(time.RFC3339Nano, o.text(key))
	if err != nil || t.Year() < 1970 || t.Year() > 2261 { // outside UnixNano means nothing
		return 0
	}
	return t.UnixNano()
}

func (o reader) addrPort(key string) netip.AddrPort {
	s := o.text(key)
	if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().Zone() == "" {
		return a
	}
	return address(s, 0)
}

func (o reader) addresses(key string) (list []netip.Addr) {
	for _, s := range o.texts(key, maxAddrs) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			list = append(list, a)
		}
	}
	return list
}

// texts are the strings of a list, at most limit of them.
func (o reader) texts(key string, limit int) (list []string) {
	v, ok := o.find(key)
	if !ok || v.kind != valueList {
		return nil
	}
	err := eachField(v.raw, func(num protowire.Number, raw []byte) error {
		if e, err := readValue(raw); err == nil && num == listValues && e.kind == valueString && len(list) < limit {
			list = append(list, valid(string(e.raw[:min(len(e.raw), maxText)])))
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return list
}

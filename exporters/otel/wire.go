package otel

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is a field's number in its message. The numbers stand beside what writes
// the fields; opentelemetry-proto has them, and the tests read what is written with
// its generated types.
type field = protowire.Number

// wire is a protobuf message that is being written, in one pass and without a tree
// of messages in between. What is empty or 0 is left out, as proto3 has it.
type wire []byte

// headroom is what open leaves before an embedded message: a tag, and a length of two
// bytes, which most take.
const headroom = 1 + 2

// open begins an embedded message, in a field below 16. close ends it, and is told
// what open gave; one that was opened later is closed before. It tells where in the
// wire the message begins after all.
func (w *wire) open(f field) (begin int) {
	*w = append(protowire.AppendTag(*w, f, protowire.BytesType), 0, 0)
	return len(*w)
}

func (w *wire) close(begin int) int {
	n := len(*w) - begin
	size := protowire.SizeVarint(uint64(n))
	switch {
	case size > 2:
		*w = append(*w, make([]byte, size-2)...)
		copy((*w)[begin+size-2:], (*w)[begin:begin+n])
	case size < 2:
		copy((*w)[begin-1:], (*w)[begin:])
		*w = (*w)[:len(*w)-1]
	}
	protowire.AppendVarint((*w)[:begin-2], uint64(n))
	return begin - 2 + size
}

func (w *wire) text(f field, s string) {
	if s != "" {
		*w = protowire.AppendString(protowire.AppendTag(*w, f, protowire.BytesType), s)
	}
}

func (w *wire) bytes(f field, b []byte) {
	if len(b) > 0 {
		*w = protowire.AppendBytes(protowire.AppendTag(*w, f, protowire.BytesType), b)
	}
}

func (w *wire) varint(f field, n uint64) {
	if n != 0 {
		*w = protowire.AppendVarint(protowire.AppendTag(*w, f, protowire.VarintType), n)
	}
}

func (w *wire) fixed32(f field, n uint32) {
	if n != 0 {
		*w = protowire.AppendFixed32(protowire.AppendTag(*w, f, protowire.Fixed32Type), n)
	}
}

func (w *wire) fixed64(f field, n uint64) {
	if n != 0 {
		w.always64(f, n)
	}
}

// always64 is a field that is told apart from one that is not there.
func (w *wire) always64(f field, n uint64) {
	*w = protowire.AppendFixed64(protowire.AppendTag(*w, f, protowire.Fixed64Type), n)
}

func (w *wire) double(f field, x float64) { w.fixed64(f, math.Float64bits(x)) }

package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// version is that of the format: of what Append and Packer.record write, and of the
// numbers that package flow gives to kinds, protocols and the like. The first had
// nothing for merged records, and is all else the same.
const (
	version      = 2
	firstVersion = 1
)

// Append appends the batch to dst as Parse reads it, on its own: with the workloads,
// names and texts. Records i of which without[i] is true are left out; nil leaves out
// none.
func (b *Batch) Append(dst []byte, without []bool) []byte {
	room := len(b.data) + 3*(len(b.ends)+len(b.texts)) + 512*len(b.workloads) // grown where it is more
	for _, s := range b.texts {
		room += len(s)
	}
	dst = slices.Grow(dst, room)
	dst = append(dst, version)
	dst = appendAll(dst, b.texts, appendText)
	dst = appendAll(dst, b.names, func(dst []byte, names []string) []byte { return appendAll(dst, names, appendText) })
	dst = appendAll(dst, b.workloads, appendWorkload)
	n := b.Len()
	for _, left := range without {
		if left {
			n--
		}
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for i := range b.Len() {
		if without == nil || !without[i] {
			record := b.data[b.start(i):b.ends[i]]
			dst = binary.AppendUvarint(dst, uint64(len(record)))
			dst = append(dst, record...)
		}
	}
	return dst
}

func appendAll[V any](dst []byte, list []V, one func([]byte, V) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, v := range list {
		dst = one(dst, v)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendWorkload writes what cursor.workload reads.
func appendWorkload(dst []byte, w *flow.Workload) []byte {
	dst = binary.AppendUvarint(dst, w.CgroupID)
	for _, s := range [...]string{w.Cgroup, string(w.Runtime), w.Container, w.Name, w.Namespace, w.Image, w.Owner.Kind, w.Owner.Name} {
		dst = appendText(dst, s)
	}
	dst = appendAll(dst, w.Labels, func(dst []byte, l flow.Label) []byte {
		return appendText(appendText(appendText(dst, l.Source), l.Key), l.Value)
	})
	dst = appendAll(dst, w.Addrs, func(dst []byte, a netip.Addr) []byte { return appendAddrPort(dst, netip.AddrPortFrom(a, 0)) })
	dst = binary.AppendUvarint(dst, uint64(w.PID))
	if w.Pending {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// errMalformed is of bytes that Append has not written, or that have changed since.
var errMalformed = errors.New("malformed batch of records")

// Parse reads what Append wrote. The bytes may be anything: what is no batch gives an
// error, and the memory that is taken for it is bounded by a small multiple of theirs.
// The Batch does not refer to raw.
func Parse(raw []byte) (*Batch, error) {
	c := cursor{data: raw}
	if v := c.byte(); v < firstVersion || v > version {
		return nil, fmt.Errorf("batch of records in format %d, known are %d to %d", v, firstVersion, version)
	}
	b := &Batch{}
	b.texts = readAll(&c, (*cursor).string)
	b.names = readAll(&c, func(c *cursor) []string { return readAll(c, (*cursor).string) })
	b.workloads = readAll(&c, (*cursor).workload)
	n := c.count()
	b.data = make([]byte, 0, len(c.data))
	b.ends = make([]uint32, 0, n)
	var r flow.Record
	for i := range n {
		b.data = append(b.data, c.take(c.count())...)
		b.ends = append(b.ends, uint32(len(b.data)))
		if c.bad || !b.wellFormed(i, &r) {
			return nil, fmt.Errorf("record %d of %d: %w", i+1, n, errMalformed)
		}
		if i == 0 {
			b.first, b.last = r.Time, r.Time
		}
		b.first, b.last = min(b.first, r.Time), max(b.last, r.Time)
	}
	if c.bad || len(c.data) > 0 {
		return nil, errMalformed
	}
	return b, nil
}

// wellFormed tells whether record i is one that Packer.record may have written, and
// unpacks it.
func (b *Batch) wellFormed(i int, r *flow.Record) bool {
	c := cursor{data: b.data[b.start(i):b.ends[i]]}
	c.record(r, b)
	switch {
	case c.bad || len(c.data) > 0:
		return false
	case r.Kind == flow.RecordL7:
		return (r.L7.Tally == nil) != (r.L7.Exchange == nil)
	}
	return r.Kind >= flow.RecordStart && r.Kind <= flow.RecordVerdict
}

// readAll grows as it reads: a number says nothing of what follows.
func readAll[V any](c *cursor, one func(*cursor) V) (list []V) {
	for range c.count() {
		v := one(c)
		if c.bad {
			return nil
		}
		list = append(list, v)
	}
	return list
}

func (c *cursor) string() string { return string(c.take(c.count())) }

func (c *cursor) workload() *flow.Workload {
	w := &flow.Workload{
		CgroupID: c.uvarint(), Cgroup: c.string(), Runtime: flow.Runtime(c.string()), Container: c.string(), Name: c.string(),
		Namespace: c.string(), Image: c.string(), Owner: flow.Owner{Kind: c.string(), Name: c.string()},
	}
	w.Labels = readAll(c, func(c *cursor) flow.Label { return flow.Label{Source: c.string(), Key: c.string(), Value: c.string()} })
	w.Addrs = readAll(c, func(c *cursor) netip.Addr { return c.addrPort().Addr() })
	w.PID, w.Pending = uint32(c.uvarint()), c.byte() == 1
	return w
}

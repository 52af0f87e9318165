package otel

import (
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/seed79351815/weir/collector/flow"
)

// Bounds of a parcel.
const (
	maxMessage = 2 << 20 // bytes after which no more goes into a message: receivers take 4 MiB as a rule
	maxKnown   = 1024    // workloads that are remembered from message to message
	spareStep  = 64 << 10
	lengths    = 2 * (1 + 10) // bytes at most of the tags and lengths around a resource's items
)

// Fields of what all signals' messages are made of: Export…ServiceRequest, Resource…
// and Scope….
const (
	resourcesField field = 1
	resourceField  field = 1
	scopesField    field = 2
	scopeField     field = 1
	itemsField     field = 2 // spans, log records or metrics
	schemaField    field = 3

	scopeName    field = 1
	scopeVersion field = 2
)

// parcel is a message of a signal that is being written: items, each of a party. An
// item goes into the message as it was written.
type parcel struct {
	wire            // the items, in the order in which they came
	items  []item   //
	groups []group  // of those of one party
	heads  int      // bytes of what stands around them, at most
	wanted []wanted // parents that may yet be found
	serial uint64

	n      int       // things that were put into it, of so much
	weight uint64    // in the signal's unit
	closed bool      // it takes no more
	due    time.Time // when it is closed in any case
	ripe   time.Time // when it had better go, not before
}

// item is a part of the wire.
type item struct{ begin, end, next int }

// group is the items of a party: a list.
type group struct {
	of                 *party
	first, last, bytes int
}

// party is a workload as messages tell of it.
type party struct {
	resource            wire   // the field with its resource
	source, destination wire   // the attributes of a record that it is an end of
	title               string // what people call it; empty for nobody
	heads               int    // bytes at most of what stands around its items

	serial uint64 // of the latest parcel that has items of it
	group  int    // its place in there
}

// begin begins an item, whose fields are then written. It gives what end is to be
// told, before the next begins.
func (p *parcel) begin() (begin int) { return p.wire.open(itemsField) }

// end ends an item, of a party, and tells where in the wire its fields begin now.
func (p *parcel) end(of *party, begin int) (fields int) {
	from, n := begin-headroom, len(p.items)
	fields = p.close(begin)
	if of.serial != p.serial {
		of.serial, of.group = p.serial, len(p.groups)
		p.groups = append(p.groups, group{of: of, first: n})
		p.heads += of.heads
	} else {
		p.items[p.groups[of.group].last].next = n
	}
	g := &p.groups[of.group]
	g.last = n
	g.bytes += len(p.wire) - from
	p.items = append(p.items, item{begin: from, end: len(p.wire)})
	return fields
}

// full tells whether the message had better go as it is.
func (p *parcel) full() bool { return len(p.wire)+p.heads >= maxMessage }

// takes tells whether more may go into it.
func (p *parcel) takes(now time.Time) bool { return !p.closed && now.Before(p.due) }

// packer begins a signal's parcels, one after the other, and makes messages of them.
// But for message, which one goroutine may call beside another that uses the rest,
// one goroutine uses it at a time.
type packer struct {
	resources *resources
	known     map[*flow.Workload]*party
	own       *party // weir
	scope     wire   // the field with the scope, of every message
	schema    wire   // the field with the schema's URL
	serial    uint64
	spare     spare
}

func newPacker(r *resources) *packer {
	k := &packer{resources: r, known: map[*flow.Workload]*party{}}
	begin := k.scope.open(scopeField)
	k.scope.text(scopeName, "weir")
	k.scope.text(scopeVersion, clean(r.version))
	k.scope.close(begin)
	k.schema.text(schemaField, schemaURL)
	k.own = k.party(r.own())
	return k
}

func (k *packer) party(r resource) *party {
	p := &party{resource: r.field()}
	p.heads = len(p.resource) + len(k.scope) + 2*len(k.schema) + lengths
	return p
}

// begin makes a parcel a new one.
func (k *packer) begin(p *parcel) {
	k.serial++
	*p = parcel{wire: p.wire[:0], items: p.items[:0], groups: p.groups[:0], wanted: p.wanted[:0], serial: k.serial}
	if len(k.known) > maxKnown {
		clear(k.known)
	}
}

// of finds a workload, or nobody where it is nil.
func (k *packer) of(w *flow.Workload) *party {
	known := k.known[w]
	if known == nil {
		name, namespace := serviceName(w)
		known = k.party(k.resources.of(w))
		known.title = w.String()
		known.source.attribute(recordAttributes, keySource, text(name))
		known.source.attribute(recordAttributes, keySourceNS, text(namespace))
		known.destination.attribute(recordAttributes, keyDest, text(name))
		known.destination.attribute(recordAttributes, keyDestNS, text(namespace))
		k.known[w] = known
	}
	return known
}

// message is what was written into a parcel. Its bytes are the packer's again when
// it is freed.
func (k *packer) message(p *parcel) mem.Buffer {
	data := k.spare.Get(len(p.wire) + p.heads)
	w := (*data)[:0]
	for _, g := range p.groups {
		scopes := len(k.scope) + g.bytes + len(k.schema)
		w = protowire.AppendTag(w, resourcesField, protowire.BytesType)
		w = protowire.AppendVarint(w, uint64(len(g.of.resource)+protowire.SizeTag(scopesField)+protowire.SizeBytes(scopes)+len(k.schema)))
		w = append(w, g.of.resource...)
		w = protowire.AppendVarint(protowire.AppendTag(w, scopesField, protowire.BytesType), uint64(scopes))
		w = append(w, k.scope...)
		for i := g.first; ; i = p.items[i].next {
			w = append(w, p.wire[p.items[i].begin:p.items[i].end]...)
			if i == g.last {
				break
			}
		}
		w = append(append(w, k.schema...), k.schema...) // the scope's, and the resource's
	}
	*data = w
	return mem.NewBuffer(data, &k.spare)
}

// spare is a pool of one buffer: a signal's messages are sent one after the other.
// A transport may hold one for longer, and then the next is new.
type spare struct{ kept atomic.Pointer[[]byte] }

// Get gives a buffer of so many bytes, which hold anything.
func (s *spare) Get(n int) *[]byte {
	if b := s.kept.Swap(nil); b != nil && cap(*b) >= n {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, (n+spareStep-1)/spareStep*spareStep)
	return &b
}

// Put takes it back.
func (s *spare) Put(b *[]byte) {
	if cap(*b) <= 2*maxMessage {
		s.kept.Store(b)
	}
}

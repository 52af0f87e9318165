package otel

import (
	"sync/atomic"

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

// parcel is a message of a signal that is being written: items, each of a resource.
// An item goes into the message as it was written, and the resource of a workload is
// kept for the messages to come. One goroutine uses it at a time.
type parcel struct {
	resources *resources
	known     map[*flow.Workload]*party
	own       *party // weir
	scope     []byte // the field with the scope, of every message
	schema    []byte // the field with the schema's URL

	wire             // the items of this message, in the order in which they came
	items   []item   //
	parties []*party // that have some
	heads   int      // bytes of what stands around their items, near enough

	spare spare
}

// party is a workload as messages tell of it.
type party struct {
	resource            wire   // the field with its resource
	source, destination wire   // the attributes of a record that it is an end of
	title               string // what people call it; empty for nobody

	// Its items in this message, of bytes in all; none where that is 0.
	first, last, bytes int
}

// item is a part of the wire.
type item struct{ begin, end, next int }

func newParcel(r *resources) *parcel {
	var scope, schema wire
	begin := scope.open(scopeField)
	scope.text(scopeName, "weir")
	scope.text(scopeVersion, clean(r.version))
	scope.close(begin)
	schema.text(schemaField, schemaURL)
	return &parcel{
		resources: r, known: map[*flow.Workload]*party{}, own: &party{resource: r.own().field()}, scope: scope, schema: schema,
	}
}

// of finds a workload, or nobody where it is nil.
func (p *parcel) of(w *flow.Workload) *party {
	known := p.known[w]
	if known == nil {
		name, namespace := serviceName(w)
		known = &party{resource: p.resources.of(w).field(), title: w.String()}
		known.source.attribute(recordAttributes, keySource, text(name))
		known.source.attribute(recordAttributes, keySourceNS, text(namespace))
		known.destination.attribute(recordAttributes, keyDest, text(name))
		known.destination.attribute(recordAttributes, keyDestNS, text(namespace))
		p.known[w] = known
	}
	return known
}

// begin begins an item, whose fields are then written. It gives what end is to be
// told, before the next begins.
func (p *parcel) begin() (begin int) { return p.open(itemsField) }

// end ends an item, of a party.
func (p *parcel) end(of *party, begin int) {
	from := begin - headroom
	p.close(begin)
	n := len(p.items)
	p.items = append(p.items, item{begin: from, end: len(p.wire)})
	if of.bytes == 0 {
		of.first = n
		p.parties = append(p.parties, of)
		p.heads += len(of.resource) + len(p.scope) + 2*len(p.schema) + lengths
	} else {
		p.items[of.last].next = n
	}
	of.last = n
	of.bytes += len(p.wire) - from
}

// full tells whether the message had better go as it is.
func (p *parcel) full() bool { return len(p.wire)+p.heads >= maxMessage }

// message is what was written since the last. Its bytes are the parcel's again when
// it is freed.
func (p *parcel) message() mem.Buffer {
	data := p.spare.Get(len(p.wire) + p.heads)
	w := (*data)[:0]
	for _, of := range p.parties {
		scopes := len(p.scope) + of.bytes + len(p.schema)
		w = protowire.AppendTag(w, resourcesField, protowire.BytesType)
		w = protowire.AppendVarint(w, uint64(len(of.resource)+protowire.SizeTag(scopesField)+protowire.SizeBytes(scopes)+len(p.schema)))
		w = append(w, of.resource...)
		w = protowire.AppendVarint(protowire.AppendTag(w, scopesField, protowire.BytesType), uint64(scopes))
		w = append(w, p.scope...)
		for i := of.first; ; i = p.items[i].next {
			w = append(w, p.wire[p.items[i].begin:p.items[i].end]...)
			if i == of.last {
				break
			}
		}
		w = append(append(w, p.schema...), p.schema...) // the scope's, and the resource's
		of.bytes = 0
	}
	*data = w
	p.wire, p.items, p.parties, p.heads = p.wire[:0], p.items[:0], p.parties[:0], 0
	if len(p.known) > maxKnown {
		clear(p.known)
	}
	return mem.NewBuffer(data, &p.spare)
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

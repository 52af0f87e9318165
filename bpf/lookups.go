package bpf

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/seed79351815/weir/collector/flow"
)

// lookupPatience is how long a question to a resolver may wait for its answer.
// Resolvers' clients ask again or elsewhere after that time (resolv.conf(5),
// timeout).
const lookupPatience = 5 * time.Second

// overdueTold bounds how many unanswered questions of one reading are told in
// full.
const overdueTold = 256

// lookupTable is the kernel's table of questions that wait for their answer. The
// programs take out what was answered; what is overdue is taken out here.
type lookupTable struct {
	questions, notes, conns *ebpf.Map
	keys                    []sharedLookupKey
	values                  []sharedLookupValue
	overdue                 []sharedLookupKey
	entries                 atomic.Uint64
}

func newLookupTable(maps map[string]*ebpf.Map) *lookupTable {
	const batch = 256
	return &lookupTable{
		questions: maps["lookups"], notes: maps["lookup_notes"], conns: maps["lookup_conns"],
		keys: make([]sharedLookupKey, batch), values: make([]sharedLookupValue, batch),
	}
}

// read tells of the questions that have had no answer in time: as tallies all of them,
// in full the first of each kind.
func (t *lookupTable) read(d *decoder, b *batcher) error {
	now := time.Now().UnixNano()
	if err := t.find(uint64(now - d.monotonic)); err != nil {
		return err
	}
	tallies := map[flow.Counted]*flow.Tally{}
	for i := range t.overdue {
		if x := t.end(d, &t.overdue[i], now); x != nil {
			count(x, tallies, now, b)
		}
	}
	for _, tally := range tallies {
		*b.next() = flow.Event{Kind: flow.KindTally, Time: now, Tally: tally}
	}
	return nil
}

func count(x *flow.Exchange, tallies map[flow.Counted]*flow.Tally, now int64, b *batcher) {
	tally := tallies[x.Counted]
	if tally == nil {
		tally = &flow.Tally{Counted: x.Counted, Status: x.Status, Bucket: flow.BucketOf(x.Latency)}
		tallies[x.Counted] = tally
		if len(tallies) <= overdueTold {
			*b.next() = flow.Event{Kind: flow.KindExchange, Time: now, Exchange: x}
		}
	}
	tally.Count++
	tally.Latency += uint64(x.Latency)
	tally.RequestBytes += x.RequestBytes
}

// find lists the keys of what is overdue at a time of CLOCK_MONOTONIC.
func (t *lookupTable) find(now uint64) error {
	t.overdue = t.overdue[:0]
	entries := uint64(0)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := t.questions.BatchLookup(&cursor, t.keys, t.values, nil)
		entries += uint64(n)
		for i := range n {
			if late(&t.values[i], now) {
				t.overdue = append(t.overdue, t.keys[i])
			}
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			t.entries.Store(entries)
			return nil
		}
		if err != nil {
			return fmt.Errorf("read BPF map lookups: %w", err)
		}
	}
}

func late(v *sharedLookupValue, now uint64) bool {
	return now >= v.Exchange.Start+uint64(lookupPatience)
}

// end takes a question out and makes an exchange without an answer of it. It
// returns nil where it was answered meanwhile, where weir itself asked or was
// asked, and where nobody knows because its connection could not be read to the end.
func (t *lookupTable) end(d *decoder, k *sharedLookupKey, now int64) *flow.Exchange {
	var v sharedLookupValue
	if err := t.questions.LookupAndDelete(k, &v); err != nil {
		return nil
	}
	if !late(&v, uint64(now-d.monotonic)) {
		// The kernel ended it by itself, and the same was asked again.
		_ = t.questions.Update(k, &v, ebpf.UpdateNoExist)
		return nil
	}
	r := &v.Exchange
	switch flow.Protocol(r.Transport) {
	case flow.UDP:
		r.Key.Peer = t.signature(k, r)
	case flow.TCP:
		// Where it is not there, the server is none of this host.
		_ = t.conns.Lookup(&k.Cookie, &r.Key.Peer)
	}
	if v.Self != 0 || r.Key.Peer == untold {
		return nil
	}
	x := d.exchange(r)
	x.Status, x.Why, x.Latency = flow.NoAnswer, flow.WhyError, int64(lookupPatience)
	x.DNS = &flow.DNSExchange{ID: k.Id, Name: wireName(v.Name[:min(int(v.NameLen), len(v.Name))]), Type: k.Type}
	return x
}

// untold stands for a peer that is weir itself, and for a connection that was not
// read to its end; c/wire_l7.h, L7_SELF.
const untold = ^uint64(0)

// signature takes out the note that a client left with its question: who was
// asked, where that is a socket of this host.
func (t *lookupTable) signature(k *sharedLookupKey, r *sharedExchangeReport) uint64 {
	if flow.Role(k.Role) != flow.RoleClient {
		return 0
	}
	note := sharedLookupNote{Name: k.Name, Port: r.Local.Port, Id: k.Id, Type: k.Type, Class: k.Class}
	var pair sharedL7Pair
	if err := t.notes.LookupAndDelete(&note, &pair); err != nil {
		return 0
	}
	return pair.Server
}

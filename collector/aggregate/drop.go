package aggregate

import "github.com/seed79351815/weir/collector/flow"

// drop takes packets that the kernel dropped: on the flow they belong to, or on
// a flow made of nothing but their tuple, which no table entry stands for.
func (t *Table) drop(ev *flow.Event) {
	d := ev.Drop
	if d == nil {
		return
	}
	slot, e := t.dropped(d)
	if e == nil {
		t.orphan(ev)
		return
	}
	e.drops += d.Packets
	e.reason = t.reasons.number(d.Reason)
	if e.self {
		return
	}
	if !e.started {
		t.reconsider(slot, e)
		t.resolve(e)
		e.started = true
		t.noteBehind(e)
		t.tell(e, flow.RecordStart)
	}
	t.tell(e, flow.RecordDrop)
	r := &t.out[len(t.out)-1]
	r.Time, r.Verdict, r.Drop = ev.Time, flow.VerdictDropped, d
	t.conclude(slot, e)
}

// dropped is the flow of dropped packets, in either direction; of several with
// one tuple the one in the namespace that dropped.
func (t *Table) dropped(d *flow.Drop) (uint32, *entry) {
	v := tuple{pack(d.Source), pack(d.Destination), uint16(d.Protocol)}
	var slot uint32
	for _, m := range [...]tuple{v, v.mirrored()} {
		for n := t.views.head(t.hash.view(m)); n != 0; n = *t.views.next(n) {
			e := t.slab.at(n.slot())
			if !t.sees(e, n.side(), &m) {
				continue
			}
			if e.ends[client].netns == d.NetNS || e.ends[server].netns == d.NetNS {
				return n.slot(), e
			}
			slot = n.slot()
		}
	}
	if slot == 0 {
		return 0, nil
	}
	return slot, t.slab.at(slot)
}

// orphan tells of dropped packets of no known flow. The flow in the record has
// ended as it begins: nothing more will be told of it.
func (t *Table) orphan(ev *flow.Event) {
	d := ev.Drop
	from := flow.Socket{NetNS: d.NetNS, Protocol: d.Protocol, Local: d.Source, Remote: d.Destination}
	sd, _ := t.listeners.side(&from)
	c, s := pack(d.Source).unpack(), pack(d.Destination).unpack()
	if sd == server {
		c, s = s, c
	}
	t.lastID++
	r := t.next()
	r.Kind, r.Time, r.Verdict, r.Drop = flow.RecordDrop, ev.Time, flow.VerdictDropped, d
	f := &r.Flow
	f.ID, f.Protocol, f.Start, f.Last, f.Ended = t.lastID, d.Protocol, ev.Time, ev.Time, ev.Time
	f.Drops, f.DropReason = d.Packets, d.Reason
	f.Client.Addr, f.Server.Addr = c, s
	f.Client.Workload, f.Server.Workload = t.identity.ByAddr(c.Addr()), t.identity.ByAddr(s.Addr())
	if real, ok := t.identity.Translated(d.Protocol, c, s); ok && real != s {
		f.ServerXlated = real
		f.Server.Workload = t.identity.ByAddr(real.Addr())
	}
	var asker uint64
	if w := f.Client.Workload; w != nil {
		asker = w.CgroupID
	}
	f.Server.Names = t.identity.Names(asker, s.Addr())
}

package convert

import (
	"net/netip"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/seed79351815/weir/collector/flow"
)

const structURL = "type.googleapis.com/google.protobuf.Struct"

// Extend puts what Hubble's schema lacks into out, which Flow made of r. The
// type is google.protobuf.Struct, because Hubble's CLI ends the whole stream at
// a type that it does not know.
func (c *Converter) Extend(out *flowpb.Flow, r *flow.Record) {
	out.Extensions = &anypb.Any{TypeUrl: structURL, Value: c.extensions(make([]byte, 0, 1024), false, r)}
}

// extensions appends the fields of an object.
func (c *Converter) extensions(b []byte, json bool, r *flow.Record) []byte {
	c.extending = object{b, c, json}
	o := &c.extending // on the heap once, for all
	if r.Kind == flow.RecordL7 {
		o.l7(r.L7)
	} else {
		o.flow(r)
	}
	b, o.b = o.b, nil
	return b
}

func (o *object) flow(r *flow.Record) {
	f := &r.Flow
	o.object("client", false, func(o *object) { o.end(&f.Client) })
	if (f.ClientXlated != netip.AddrPort{}) {
		o.address("client_xlated", f.ClientXlated)
	}
	o.number("connect_latency_ns", unsigned(f.ConnectLatency))
	o.object("delta", false, func(o *object) { o.delta(r.Delta) })
	if r.Drop != nil {
		o.object("drop", true, func(o *object) { o.drop(r.Drop) })
	}
	o.text("drop_reason", f.DropReason)
	o.number("drops", f.Drops)
	o.text("end", f.End.String())
	o.instant("ended", f.Ended)
	o.number("flow_id", f.ID)
	o.instant("last", f.Last)
	o.flag("preexisting", f.Preexisting)
	o.text("protocol", f.Protocol.String())
	o.number("protocol_number", uint64(f.Protocol))
	o.object("received", false, func(o *object) { o.counters(f.Received) })
	o.text("record", recordNames[r.Kind])
	o.number("retransmits", uint64(f.Retransmits))
	o.number("rtt_ns", unsigned(f.RTT))
	o.object("sent", false, func(o *object) { o.counters(f.Sent) })
	o.object("server", false, func(o *object) { o.end(&f.Server) })
	if (f.ServerXlated != netip.AddrPort{}) {
		o.address("server_xlated", f.ServerXlated)
	}
	o.instant("start", f.Start)
	if r.Judged != nil {
		o.object("verdict", true, func(o *object) { o.judged(r.Judged) })
	}
}

var recordNames = [...]string{
	flow.RecordStart: "start", flow.RecordUpdate: "update", flow.RecordEnd: "end", flow.RecordDrop: "drop",
	flow.RecordVerdict: "verdict",
}

func (o *object) counters(c flow.Counters) {
	o.number("packets", c.Packets)
	o.number("payload_bytes", c.Payload)
	o.number("wire_bytes", c.Wire)
}

func (o *object) delta(d flow.Delta) {
	o.object("received", false, func(o *object) { o.counters(d.Received) })
	o.number("retransmits", uint64(d.Retransmits))
	o.object("sent", false, func(o *object) { o.counters(d.Sent) })
}

func (o *object) drop(d *flow.Drop) {
	o.number("bytes", d.Bytes)
	o.address("destination", d.Destination)
	o.number("netns", uint64(d.NetNS))
	o.number("packets", d.Packets)
	o.number("protocol_number", uint64(d.Protocol))
	o.text("reason", d.Reason)
	o.address("source", d.Source)
}

func (o *object) end(e *flow.Endpoint) {
	o.text("command", e.Comm.String())
	o.number("cookie", e.Cookie)
	o.number("netns", uint64(e.NetNS))
	o.number("pid", uint64(e.PID))
	o.flag("seen", e.Seen)
	o.text("via", e.Via)
	if w := e.Workload; w != nil {
		o.known(o.c.identity(w))
	}
}

// known writes a workload that was written before.
func (o *object) known(id *identity) {
	if !o.json {
		o.b = append(o.b, id.extension...)
		return
	}
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, id.json...)
}

// workloadField is an end's field with its workload.
func workloadField(o object, w *flow.Workload) []byte {
	o.object("workload", true, func(o *object) { o.workload(w) })
	return o.b
}

// workload leaves out what the flow's endpoint says: namespace and labels.
func (o *object) workload(w *flow.Workload) {
	o.addresses("addresses", w.Addrs)
	o.text("cgroup", w.Cgroup)
	o.number("cgroup_id", w.CgroupID)
	o.text("container_id", w.Container)
	o.text("image", w.Image)
	o.text("name", w.Name)
	o.text("owner_kind", w.Owner.Kind)
	o.text("owner_name", w.Owner.Name)
	o.flag("pending", w.Pending)
	o.number("pid", uint64(w.PID))
	o.text("runtime", string(w.Runtime))
}

// instant is ns since the Unix epoch as RFC 3339 with all its digits; a double
// would lose some.
func (o *object) instant(key string, ns int64) {
	if ns == 0 {
		return
	}
	var room [len(time.RFC3339Nano)]byte
	o.text(key, string(time.Unix(0, ns).UTC().AppendFormat(room[:0], time.RFC3339Nano)))
}

// address is address and port, or the address alone where there is no port.
func (o *object) address(key string, a netip.AddrPort) {
	var room [len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")]byte
	addr := a.Addr().WithZone("")
	switch {
	case !addr.IsValid():
	case a.Port() == 0:
		o.text(key, string(addr.AppendTo(room[:0])))
	default:
		o.text(key, string(netip.AddrPortFrom(addr, a.Port()).AppendTo(room[:0])))
	}
}

func unsigned(n int64) uint64 {
	if n < 0 {
		return 0
	}
	return uint64(n)
}

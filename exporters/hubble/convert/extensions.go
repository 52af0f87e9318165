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
	out.Extensions = &anypb.Any{TypeUrl: structURL, Value: c.extensions(make([]byte, 0, 1024), r)}
}

func (c *Converter) extensions(b []byte, r *flow.Record) []byte {
	c.extending = object{b: b, c: c}
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
	o.text("record", recordNames[r.Kind])
	o.number("flow_id", f.ID)
	o.text("protocol", f.Protocol.String())
	o.number("protocol_number", uint64(f.Protocol))
	o.instant("start", f.Start)
	o.instant("last", f.Last)
	o.instant("ended", f.Ended)
	o.text("end", f.End.String())
	o.flag("preexisting", f.Preexisting)
	o.number("connect_latency_ns", unsigned(f.ConnectLatency))
	o.number("rtt_ns", unsigned(f.RTT))
	o.number("retransmits", uint64(f.Retransmits))
	o.object("sent", false, func(o *object) { o.counters(f.Sent) })
	o.object("received", false, func(o *object) { o.counters(f.Received) })
	o.object("delta", false, func(o *object) { o.delta(r.Delta) })
	o.number("drops", f.Drops)
	o.text("drop_reason", f.DropReason)
	if r.Drop != nil {
		o.object("drop", true, func(o *object) { o.drop(r.Drop) })
	}
	if r.Judged != nil {
		o.object("verdict", true, func(o *object) { o.judged(r.Judged) })
	}
	if (f.ServerXlated != netip.AddrPort{}) {
		o.text("server_xlated", addrText(f.ServerXlated))
	}
	if (f.ClientXlated != netip.AddrPort{}) {
		o.text("client_xlated", addrText(f.ClientXlated))
	}
	o.object("client", false, func(o *object) { o.end(&f.Client) })
	o.object("server", false, func(o *object) { o.end(&f.Server) })
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
	o.object("sent", false, func(o *object) { o.counters(d.Sent) })
	o.object("received", false, func(o *object) { o.counters(d.Received) })
	o.number("retransmits", uint64(d.Retransmits))
}

func (o *object) drop(d *flow.Drop) {
	o.text("reason", d.Reason)
	o.number("packets", d.Packets)
	o.number("bytes", d.Bytes)
	o.text("source", addrText(d.Source))
	o.text("destination", addrText(d.Destination))
	o.number("protocol_number", uint64(d.Protocol))
	o.number("netns", uint64(d.NetNS))
}

func (o *object) end(e *flow.Endpoint) {
	o.flag("seen", e.Seen)
	o.text("via", e.Via)
	o.number("pid", uint64(e.PID))
	o.text("command", e.Comm.String())
	o.number("cookie", e.Cookie)
	o.number("netns", uint64(e.NetNS))
	if w := e.Workload; w != nil {
		o.b = append(o.b, o.c.identity(w).extension...)
	}
}

// workloadField is an end's field with its workload.
func workloadField(w *flow.Workload) []byte {
	var o object
	o.object("workload", true, func(o *object) { o.workload(w) })
	return o.b
}

// workload leaves out what the flow's endpoint says: namespace and labels.
func (o *object) workload(w *flow.Workload) {
	o.text("name", w.Name)
	o.text("runtime", string(w.Runtime))
	o.text("container_id", w.Container)
	o.text("image", w.Image)
	o.text("owner_kind", w.Owner.Kind)
	o.text("owner_name", w.Owner.Name)
	o.addresses("addresses", w.Addrs)
	o.number("pid", uint64(w.PID))
	o.number("cgroup_id", w.CgroupID)
	o.text("cgroup", w.Cgroup)
	o.flag("pending", w.Pending)
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

// addrText is address and port, or the address alone where there is no port.
func addrText(a netip.AddrPort) string {
	switch {
	case !a.Addr().IsValid():
		return ""
	case a.Port() == 0:
		return a.Addr().WithZone("").String()
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

func unsigned(n int64) uint64 {
	if n < 0 {
		return 0
	}
	return uint64(n)
}

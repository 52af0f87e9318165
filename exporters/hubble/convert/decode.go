package convert

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// ErrNoExtensions is returned for a flow that does not come from weir, or that
// came through a field mask: it does not say enough to make a record of.
var ErrNoExtensions = errors.New("flow without weir's extensions")

// Limits on what a decoded flow may hold. Longer strings are cut, more entries
// ignored: a server is not trusted with the client's memory.
const (
	maxText   = 4096
	maxLabels = 256
	maxNames  = 32
	maxAddrs  = 32
)

// Decoder makes records of weir's flows. Equal workloads of one cgroup become
// one value, as the collector has them. It is used by one goroutine at a time.
type Decoder struct {
	workloads map[uint64]*flow.Workload
	names     map[string][]string
	arena     arena
}

// NewDecoder is a Decoder without a memory yet.
func NewDecoder() *Decoder {
	return &Decoder{workloads: make(map[uint64]*flow.Workload), names: make(map[string][]string)}
}

// Record is the record that in was made of. It returns ErrNoExtensions, or an
// error that names what could not be read.
func (d *Decoder) Record(in *flowpb.Flow) (r flow.Record, err error) {
	ext := in.GetExtensions()
	if ext.GetTypeUrl() != structURL {
		return r, ErrNoExtensions
	}
	d.arena = d.arena[:0]
	o, err := d.arena.read(ext.GetValue())
	if err != nil {
		return r, fmt.Errorf("flow's extensions: %w", err)
	}
	r.Time = in.GetTime().AsTime().UnixNano()
	r.Verdict = flow.Verdict(in.GetVerdict())
	r.More = More(in)
	kind := o.text("record")
	if kind == recordExchange || kind == recordTally {
		r.Kind = flow.RecordL7
		r.L7, err = d.l7(in, o, kind == recordTally)
	} else {
		err = d.flow(&r, kind, in, o)
	}
	if err != nil {
		return flow.Record{}, fmt.Errorf("flow's extensions: %w", err)
	}
	return r, nil
}

// flow completes r with the flow that in, with the extensions o, was made of.
func (d *Decoder) flow(r *flow.Record, kind string, in *flowpb.Flow, o reader) (err error) {
	if r.Kind, err = recordKind(kind); err != nil {
		return err
	}
	f := &r.Flow
	f.ID = o.number("flow_id")
	f.Protocol = flow.Protocol(o.number("protocol_number"))
	f.Start, f.Last, f.Ended = o.instant("start"), o.instant("last"), o.instant("ended")
	if f.End, err = flowEnd(o.text("end")); err != nil {
		return err
	}
	f.Preexisting = o.flag("preexisting")
	f.ConnectLatency, f.RTT = int64(o.number("connect_latency_ns")), int64(o.number("rtt_ns"))
	f.Retransmits = uint32(o.number("retransmits"))
	f.Sent, f.Received = o.counters("sent"), o.counters("received")
	dl, _ := o.object("delta")
	r.Delta = flow.Delta{Sent: dl.counters("sent"), Received: dl.counters("received"), Retransmits: uint32(dl.number("retransmits"))}
	f.Drops, f.DropReason = o.number("drops"), o.text("drop_reason")
	f.ServerXlated, f.ClientXlated = o.addrPort("server_xlated"), o.addrPort("client_xlated")
	f.ICMPType, f.ICMPCode = icmp(in.GetL4())
	if dr, ok := o.object("drop"); ok {
		r.Drop = &flow.Drop{
			NetNS: uint32(dr.number("netns")), Protocol: flow.Protocol(dr.number("protocol_number")),
			Source: dr.addrPort("source"), Destination: dr.addrPort("destination"),
			Reason: dr.text("reason"), Packets: dr.number("packets"), Bytes: dr.number("bytes"),
		}
	}
	if v, ok := o.object("verdict"); ok {
		r.Judged = v.judged()
	} else if r.Kind == flow.RecordVerdict {
		return errors.New("verdict without what was judged")
	}
	src, dst := &f.Client, &f.Server
	if in.GetIsReply().GetValue() {
		src, dst = dst, src
	}
	f.Client, f.Server = endpoint(o, "client"), endpoint(o, "server")
	d.ends(in, src, dst)
	return nil
}

// ends completes the ends by what Hubble's schema says of them.
func (d *Decoder) ends(in *flowpb.Flow, src, dst *flow.Endpoint) {
	sport, dport := ports(in.GetL4())
	src.Addr, dst.Addr = address(in.GetIP().GetSource(), sport), address(in.GetIP().GetDestination(), dport)
	src.Names, dst.Names = d.nameList(in.GetSourceNames()), d.nameList(in.GetDestinationNames())
	src.Workload = d.intern(src.Workload, in.GetSource())
	dst.Workload = d.intern(dst.Workload, in.GetDestination())
}

func recordKind(s string) (flow.RecordKind, error) {
	for k, n := range recordNames {
		if n == s && n != "" {
			return flow.RecordKind(k), nil
		}
	}
	return 0, fmt.Errorf("record kind %q", cut(s))
}

func flowEnd(s string) (flow.End, error) {
	e, ok := flow.ParseEnd(s)
	if !ok {
		return 0, fmt.Errorf("end %q", cut(s))
	}
	return e, nil
}

func endpoint(o reader, key string) flow.Endpoint {
	o, _ = o.object(key)
	e := flow.Endpoint{
		Seen: o.flag("seen"), Via: o.text("via"), PID: uint32(o.number("pid")), Comm: flow.MakeComm(o.text("command")),
		Cookie: o.number("cookie"), NetNS: uint32(o.number("netns")),
	}
	if w, ok := o.object("workload"); ok {
		e.Workload = &flow.Workload{
			Name: w.text("name"), Runtime: flow.Runtime(w.text("runtime")), Container: w.text("container_id"), Image: w.text("image"),
			Owner: flow.Owner{Kind: w.text("owner_kind"), Name: w.text("owner_name")}, Addrs: w.addresses("addresses"),
			PID: uint32(w.number("pid")), CgroupID: w.number("cgroup_id"), Cgroup: w.text("cgroup"), Pending: w.flag("pending"),
		}
	}
	return e
}

func ports(l4 *flowpb.Layer4) (src, dst uint32) {
	switch p := l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return p.TCP.GetSourcePort(), p.TCP.GetDestinationPort()
	case *flowpb.Layer4_UDP:
		return p.UDP.GetSourcePort(), p.UDP.GetDestinationPort()
	case *flowpb.Layer4_SCTP:
		return p.SCTP.GetSourcePort(), p.SCTP.GetDestinationPort()
	}
	return 0, 0
}

func icmp(l4 *flowpb.Layer4) (typ, code uint8) {
	switch p := l4.GetProtocol().(type) {
	case *flowpb.Layer4_ICMPv4:
		return uint8(p.ICMPv4.GetType()), uint8(p.ICMPv4.GetCode())
	case *flowpb.Layer4_ICMPv6:
		return uint8(p.ICMPv6.GetType()), uint8(p.ICMPv6.GetCode())
	}
	return 0, 0
}

func address(ip string, port uint32) netip.AddrPort {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Zone() != "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port))
	}
	return netip.AddrPortFrom(a, uint16(port))
}

func cut(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// natReadBuffer holds the events of some tens of thousands of connections.
const natReadBuffer = 4 << 20

// errOverrun says that the kernel had more events than our buffer had room.
var errOverrun = errors.New("events were lost: the kernel's buffer overran")

// conntrackFeed fills a natTable from the kernel's connection tracking of this
// network namespace.
type conntrackFeed struct {
	table    *natTable
	overruns atomic.Uint64 // times that the kernel had no room for our events
}

// run follows conntrack until ctx ends or the subscription breaks: it subscribes,
// then dumps what is there. connected is called when both have worked.
func (f *conntrackFeed) run(ctx context.Context, connected func()) error {
	f.table.reset(time.Now()) // events may have been missed
	conn, err := subscribeDNAT()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := f.dump(); err != nil {
		return err
	}
	connected()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		msgs, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			f.overruns.Add(1)
			return fmt.Errorf("follow conntrack events: %w", errOverrun)
		case err != nil:
			return fmt.Errorf("follow conntrack events: %w", err)
		}
		for _, m := range msgs {
			var ev conntrack.Event
			if ev.Unmarshal(m) == nil { // what this library does not know is not for us
				f.event(ev)
			}
		}
	}
}

// subscribeDNAT subscribes to the beginnings and ends of connections whose
// destination is translated. The kernel sorts the others out: waking up for each
// of them would cost more than all the rest of weir.
func subscribeDNAT() (*netlink.Conn, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open conntrack: %w", err)
	}
	fail := func(what string, err error) (*netlink.Conn, error) {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	filter, err := bpf.Assemble(dnatFilter)
	if err != nil {
		return fail("assemble the filter of conntrack events", err)
	}
	if err := conn.SetBPF(filter); err != nil {
		return fail("filter conntrack events", err)
	}
	if err := conn.SetReadBuffer(natReadBuffer); err != nil {
		return fail("size conntrack's event buffer", err)
	}
	for _, g := range []netfilter.NetlinkGroup{netfilter.GroupCTNew, netfilter.GroupCTDestroy} {
		if err := conn.JoinGroup(uint32(g)); err != nil {
			return fail("subscribe to conntrack events (needs CAP_NET_ADMIN)", err)
		}
	}
	return conn, nil
}

// dnatFilter passes a netlink message whose CTA_STATUS has IPS_DST_NAT, and one
// without a status.
var dnatFilter = []bpf.Instruction{
	bpf.LoadConstant{Dst: bpf.RegA, Val: unix.NLMSG_HDRLEN + 4}, // the attributes follow struct nfgenmsg
	bpf.LoadConstant{Dst: bpf.RegX, Val: ctaStatus},
	bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}, // A = the attribute's offset, 0 when it is missing
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 3},
	bpf.TAX{},
	bpf.LoadIndirect{Off: unix.SizeofNlAttr, Size: 4},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: uint32(conntrack.StatusDstNAT), SkipFalse: 1},
	bpf.RetConstant{Val: 1 << 18},
	bpf.RetConstant{Val: 0},
}

const ctaStatus = 3 // enum ctattr_type in linux/netfilter/nfnetlink_conntrack.h

func (f *conntrackFeed) dump() error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("open conntrack: %w", err)
	}
	defer conn.Close()
	flows, err := conn.DumpFilter(conntrack.NewFilter().Status(conntrack.StatusDstNAT), nil)
	if err != nil {
		return fmt.Errorf("dump conntrack: %w", err)
	}
	for i := range flows {
		if k, server, ok := translation(&flows[i]); ok {
			f.table.learn(k, server)
		}
	}
	return nil
}

func (f *conntrackFeed) event(ev conntrack.Event) {
	if ev.Flow == nil {
		return
	}
	k, server, ok := translation(ev.Flow)
	switch {
	case !ok:
	case ev.Type == conntrack.EventNew:
		f.table.learn(k, server)
	case ev.Type == conntrack.EventDestroy:
		f.table.destroyed(k, time.Now())
	}
}

// translation reads whom the client named and who answers.
func translation(f *conntrack.Flow) (k natKey, server netip.AddrPort, ok bool) {
	o, r := f.TupleOrig, f.TupleReply
	k = natKey{
		proto:  flow.Protocol(o.Proto.Protocol),
		client: netip.AddrPortFrom(o.IP.SourceAddress.Unmap(), o.Proto.SourcePort),
		server: netip.AddrPortFrom(o.IP.DestinationAddress.Unmap(), o.Proto.DestinationPort),
	}
	server = netip.AddrPortFrom(r.IP.SourceAddress.Unmap(), r.Proto.SourcePort)
	return k, server, k.proto.HasPorts() && k.client.IsValid() && k.server.IsValid() && server.IsValid()
}

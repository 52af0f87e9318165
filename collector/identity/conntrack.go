package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// natReadBuffer holds the events of some tens of thousands of connections.
const natReadBuffer = 8 << 20

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
	events, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("open conntrack: %w", err)
	}
	ch := make(chan conntrack.Event, 1024)
	var errs chan error
	defer func() { closeEvents(events, ch, errs) }()
	if err := events.SetReadBuffer(natReadBuffer); err != nil {
		return fmt.Errorf("size conntrack's event buffer: %w", err)
	}
	errs, err = events.Listen(ch, 1, []netfilter.NetlinkGroup{netfilter.GroupCTNew, netfilter.GroupCTDestroy})
	if err != nil {
		return fmt.Errorf("subscribe to conntrack events: %w", err)
	}
	if err := f.dump(); err != nil {
		return err
	}
	connected()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-ch:
			f.event(ev)
		case err := <-errs:
			if errors.Is(err, unix.ENOBUFS) {
				f.overruns.Add(1)
				return fmt.Errorf("follow conntrack events: %w", errOverrun)
			}
			return fmt.Errorf("follow conntrack events: %w", err)
		}
	}
}

// closeEvents closes the connection. Close waits for the worker, which may stand
// at one of the channels: they are drained until then.
func closeEvents(conn *conntrack.Conn, ch chan conntrack.Event, errs chan error) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		conn.Close()
	}()
	for {
		select {
		case <-ch:
		case <-errs:
		case <-closed:
			return
		}
	}
}

func (f *conntrackFeed) dump() error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("open conntrack: %w", err)
	}
	defer conn.Close()
	flows, err := conn.Dump(nil)
	if err != nil {
		return fmt.Errorf("dump conntrack: %w", err)
	}
	for i := range flows {
		if k, server, ok := translation(&flows[i]); ok && k.server != server {
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

package bpf

import (
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7/ja4"
)

// decoder turns the wire's bytes into events. It is used by one goroutine.
type decoder struct {
	offset    int64 // CLOCK_BOOTTIME to Unix time
	monotonic int64 // CLOCK_MONOTONIC to Unix time
	listeners listeners
	hello     ja4.Hello // reused
}

// cast views raw as a T of exactly its length. Ring samples are 8-byte aligned
// and were copied into a Go slice, so the view is aligned too.
func cast[T any](raw []byte) (*T, bool) {
	var t T
	if len(raw) != int(unsafe.Sizeof(t)) {
		return nil, false
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(raw))), true
}

// event decodes one sample of the ring into ev, which it overwrites whole. ok is
// false for an event that is known and deliberately not passed on.
func (d *decoder) event(raw []byte, ev *flow.Event) (ok bool, err error) {
	if len(raw) < int(unsafe.Sizeof(sharedEventHdr{})) {
		return false, fmt.Errorf("event of %d bytes: shorter than its header", len(raw))
	}
	h := (*sharedEventHdr)(unsafe.Pointer(unsafe.SliceData(raw)))
	*ev = flow.Event{CPU: uint16(h.Cpu), Time: int64(h.Time) + d.offset}
	switch kind := sharedEventKind(h.Kind); kind {
	case sharedEventKindEVENT_SOCK_OPEN, sharedEventKindEVENT_SOCK_CLOSE, sharedEventKindEVENT_SOCK_LISTEN:
		e, ok := cast[sharedSockEvent](raw)
		if !ok {
			return false, sizeError(kind, len(raw))
		}
		ev.Kind = sockKind(kind)
		d.socket(&e.Sock, &ev.Socket)
		if ev.Kind == flow.KindListen {
			d.listeners.add(&e.Sock)
		}
		return true, nil
	case sharedEventKindEVENT_CGROUP_MKDIR, sharedEventKindEVENT_CGROUP_RMDIR:
		e, ok := cast[sharedCgroupEvent](raw)
		if !ok {
			return false, sizeError(kind, len(raw))
		}
		ev.Kind = flow.KindCgroupCreated
		if kind == sharedEventKindEVENT_CGROUP_RMDIR {
			ev.Kind = flow.KindCgroupRemoved
		}
		ev.Cgroup = &flow.Cgroup{ID: e.Id, Path: cString(e.Path[:])}
		return true, nil
	case sharedEventKindEVENT_DNS:
		e, ok := cast[sharedDnsEvent](raw)
		if !ok || int(e.Len) > len(e.Data) {
			return false, sizeError(kind, len(raw))
		}
		answer, ok := parseDNS(e.Data[:e.Len])
		if !ok {
			return false, nil
		}
		answer.Cgroup, answer.NetNS, answer.Resolver = e.Cgroup, e.Netns, addrPort(&e.Resolver)
		ev.Kind, ev.DNS = flow.KindDNS, answer
		return true, nil
	case sharedEventKindEVENT_HTTP:
		e, ok := cast[sharedHttpEvent](raw)
		if !ok {
			return false, sizeError(kind, len(raw))
		}
		ev.Kind, ev.Exchange = flow.KindExchange, d.exchange(&e.Exchange)
		ev.Exchange.HTTP = httpExchange(e)
		return true, nil
	case sharedEventKindEVENT_TLS:
		e, ok := cast[sharedTlsEvent](raw)
		if !ok {
			return false, sizeError(kind, len(raw))
		}
		ev.Kind, ev.Exchange = flow.KindExchange, d.exchange(&e.Exchange)
		ev.Exchange.TLS = d.handshake(e)
		return true, nil
	case sharedEventKindEVENT_LOOKUP:
		e, ok := cast[sharedLookupEvent](raw)
		if !ok {
			return false, sizeError(kind, len(raw))
		}
		ev.Kind, ev.Exchange = flow.KindExchange, d.exchange(&e.Exchange)
		ev.Exchange.DNS = dnsExchange(e)
		return true, nil
	}
	return false, fmt.Errorf("event of kind %d: unknown", h.Kind)
}

func sizeError(kind sharedEventKind, n int) error {
	return fmt.Errorf("event of kind %d: %d bytes is not its size", kind, n)
}

func sockKind(k sharedEventKind) flow.Kind {
	switch k {
	case sharedEventKindEVENT_SOCK_OPEN:
		return flow.KindOpen
	case sharedEventKindEVENT_SOCK_CLOSE:
		return flow.KindClose
	}
	return flow.KindListen
}

// socket fills s, which must be zero, from a report.
func (d *decoder) socket(r *sharedSockReport, s *flow.Socket) {
	s.Cookie, s.Cgroup, s.NetNS, s.PID, s.Comm = r.Cookie, r.Cgroup, r.Netns, r.Pid, flow.Comm(r.Comm)
	s.Protocol = flow.Protocol(r.Protocol)
	s.Local, s.Remote = addrPort(&r.Local), addrPort(&r.Remote)
	if r.Wire != (sharedEndpoint{}) {
		s.Wire = addrPort(&r.Wire)
	}
	s.ICMPType, s.ICMPCode = r.IcmpType, r.IcmpCode
	s.Start = int64(r.Start) + d.offset
	s.End = flow.End(r.End)
	s.Preexisting = r.Flags&uint8(sharedSockFlagFLAG_PREEXISTING) != 0
	s.Self = r.Flags&uint8(sharedSockFlagFLAG_SELF) != 0
	s.ConnectLatency = int64(r.ConnectLatency)
	s.RTT = int64(r.RttUs) * 1000
	s.Retransmits = r.Retransmits
	s.Sent, s.Received = counters(&r.Sent), counters(&r.Received)
	s.Role = flow.Role(r.Role)
	if sharedSockRole(r.Role) == sharedSockRoleROLE_LISTENER {
		s.Role, s.Remote = flow.RoleServer, netip.AddrPort{}
		return
	}
	if s.Role == flow.RoleUnknown && s.Protocol == flow.TCP {
		s.Role = d.listeners.role(r)
	}
	if s.Protocol == flow.TCP {
		d.listeners.own(s)
	}
	if r.Flags&uint8(sharedSockFlagFLAG_ESTABLISHED) != 0 {
		s.ConnID = connID(s.Role, r.IsnSent, r.IsnReceived)
	}
}

// connID is the same at both ends: the client's and the server's first data
// byte. At the client the kernel counts its SYN among the acknowledged bytes
// (tcp_rcv_synsent_state_process), so its isnSent is one lower.
func connID(role flow.Role, isnSent, isnReceived uint32) uint64 {
	switch role {
	case flow.RoleClient:
		return uint64(isnSent+1)<<32 | uint64(isnReceived)
	case flow.RoleServer:
		return uint64(isnReceived)<<32 | uint64(isnSent)
	}
	return 0
}

func counters(c *sharedCounters) flow.Counters {
	return flow.Counters{Packets: c.Packets, Payload: c.Payload, Wire: c.Wire}
}

func addrPort(e *sharedEndpoint) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

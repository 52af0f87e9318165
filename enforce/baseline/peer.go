package baseline

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// PeerKind says by what a peer is known.
type PeerKind uint8

// The kinds of peers, the best known first.
const (
	PeerWorkload PeerKind = iota // a workload of this host
	PeerName                     // a DNS name that the workload looked up
	PeerAddress                  // nothing but an address
	PeerWorld                    // too many addresses to keep each
	PeerUnnamed                  // a workload of this host whose name did not come, or nobody that was told
)

// Peer is the other end of a workload's traffic. It can be compared.
type Peer struct {
	Kind     PeerKind
	Workload Key        // for PeerWorkload
	Name     string     // for PeerName: a host name in lower case without the final dot
	Addr     netip.Addr // for PeerAddress
}

// HostKey is the key of the host's own processes.
var HostKey = Key{Kind: "Host", Name: "host"}

// asked is whom a client asks, as it is judged: by the address that it names. That
// is a workload's where the workload has it for its own; loopback's is the host's,
// whoever listens there.
func asked(e *flow.Endpoint) Peer {
	a, w := address(e), e.Workload
	k, named := KeyOf(w)
	switch {
	case !a.IsValid() && named:
		return Peer{Kind: PeerWorkload, Workload: k}
	case !a.IsValid():
		return Peer{Kind: PeerUnnamed}
	case a.IsLoopback():
		return Peer{Kind: PeerWorkload, Workload: HostKey}
	case w != nil && slices.Contains(w.Addrs, a):
		if named {
			return Peer{Kind: PeerWorkload, Workload: k}
		}
		return Peer{Kind: PeerUnnamed}
	}
	for _, n := range e.Names {
		if hostName(n) {
			return Peer{Kind: PeerName, Name: n}
		}
	}
	return Peer{Kind: PeerAddress, Addr: a}
}

// came is who came to a server: judged by its socket where that is one of this
// host, else by its address. Names are for what is asked for, not for who comes.
func came(e *flow.Endpoint, p flow.Protocol) Peer {
	if k, named := KeyOf(e.Workload); named && (p == flow.TCP || p == flow.UDP || p == 0) {
		return Peer{Kind: PeerWorkload, Workload: k}
	} else if e.Workload != nil && !named && e.Workload.Runtime != flow.RuntimeWorld {
		return Peer{Kind: PeerUnnamed}
	}
	return asked(&flow.Endpoint{Addr: e.Addr, Workload: e.Workload})
}

// address is an end's address as policies know it; the zero Addr where there is none.
func address(e *flow.Endpoint) netip.Addr {
	if a := e.Addr.Addr().Unmap().WithZone(""); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// hostName tells what a policy can name from what a peer merely sent.
func hostName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// String is the peer in words for a person.
func (p Peer) String() string {
	switch p.Kind {
	case PeerWorkload:
		return p.Workload.String()
	case PeerName:
		return p.Name
	case PeerAddress:
		return p.Addr.String()
	case PeerWorld:
		return "world"
	}
	return "unnamed"
}

// Compare orders peers by kind, then by what they are known by.
func (p Peer) Compare(o Peer) int {
	return cmp.Or(cmp.Compare(p.Kind, o.Kind), p.Workload.Compare(o.Workload), cmp.Compare(p.Name, o.Name), p.Addr.Compare(o.Addr))
}

// MarshalText is "workload:…", "name:…", "address:…", "world" or "unnamed".
func (p Peer) MarshalText() ([]byte, error) {
	switch p.Kind {
	case PeerWorkload:
		k, err := p.Workload.MarshalText()
		return append([]byte("workload:"), k...), err
	case PeerName:
		return []byte("name:" + p.Name), nil
	case PeerAddress:
		return []byte("address:" + p.Addr.String()), nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (p *Peer) UnmarshalText(b []byte) error {
	kind, value, _ := strings.Cut(string(b), ":")
	switch kind {
	case "workload":
		*p = Peer{Kind: PeerWorkload}
		return p.Workload.UnmarshalText([]byte(value))
	case "name":
		*p = Peer{Kind: PeerName, Name: value}
		if !hostName(value) {
			return fmt.Errorf("peer %q: not a host name", b)
		}
		return nil
	case "address":
		a, err := netip.ParseAddr(value)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return fmt.Errorf("peer %q: not an address", b)
		}
		*p = Peer{Kind: PeerAddress, Addr: a}
		return nil
	}
	switch string(b) {
	case "world":
		*p = Peer{Kind: PeerWorld}
	case "unnamed":
		*p = Peer{Kind: PeerUnnamed}
	default:
		return fmt.Errorf("peer %q: unknown kind", b)
	}
	return nil
}

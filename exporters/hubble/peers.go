package hubble

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	peerpb "github.com/cilium/cilium/api/v1/peer"
)

// maxPeers bounds a list of peers.
const maxPeers = 1000

// Peer is a node whose observer a relay can read.
type Peer struct {
	Name       string // of the node, as in its flows
	Address    string // host:port or unix:///path
	ServerName string // what its certificate is verified by; empty where there is no TLS
}

// ParsePeers reads peers separated by commas: [name=]host:port[/server-name], or
// name=unix:///path. The name is the host where none is given, and so is the
// server name. A network address has TLS, as weir listens at no other; a socket
// has none.
func ParsePeers(list string) ([]Peer, error) {
	if list == "" {
		return nil, nil
	}
	texts := strings.Split(list, ",")
	if len(texts) > maxPeers {
		return nil, fmt.Errorf("%d peers, at most %d", len(texts), maxPeers)
	}
	var out []Peer
	known := make(map[string]bool)
	for _, text := range texts {
		p, err := parsePeer(strings.TrimSpace(text))
		switch {
		case err != nil:
			return nil, fmt.Errorf("peer %q: %w", text, err)
		case known[p.Name]:
			return nil, fmt.Errorf("peer %q: a second one with the name %q", text, p.Name)
		}
		known[p.Name] = true
		out = append(out, p)
	}
	return out, nil
}

func parsePeer(text string) (Peer, error) {
	var p Peer
	name, address, named := strings.Cut(text, "=")
	if !named {
		address = text
	}
	switch path, socket := strings.CutPrefix(address, "unix://"); {
	case named && !word(name):
		return p, fmt.Errorf("%q is no name of a node", name)
	case socket && !named:
		return p, fmt.Errorf("a socket needs the name of its node: name=%s", address)
	case socket && (!strings.HasPrefix(path, "/") || !word(path)):
		return p, fmt.Errorf("%q is no absolute path", path)
	case socket:
		return Peer{Name: name, Address: address}, nil
	}
	address, server, verified := strings.Cut(address, "/")
	host, port, err := net.SplitHostPort(address)
	if err != nil || !word(host) {
		return p, errors.New("expected [name=]host:port[/server-name]")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return p, fmt.Errorf("%q is no port", port)
	}
	switch {
	case !verified:
		server = host
	case !word(server):
		return p, fmt.Errorf("%q is no server name", server)
	}
	if !named {
		name = host
	}
	return Peer{Name: name, Address: address, ServerName: server}, nil
}

// word tells whether s can be printed and read back as one word.
func word(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// self is this node as relays find it.
func (o *Observer) self() Peer {
	for _, p := range o.cfg.Peers {
		if p.Name == o.cfg.NodeName {
			return p
		}
	}
	return Peer{Name: o.cfg.NodeName, Address: o.cfg.Address, ServerName: o.cfg.ServerName}
}

// peerServer tells relays of the nodes: a relay asks one observer for all of them.
type peerServer struct {
	peerpb.UnimplementedPeerServer
	o *Observer
}

// Notify tells of all nodes, this one first, and then keeps the stream open: a
// relay takes its end for a failure.
func (s peerServer) Notify(_ *peerpb.NotifyRequest, srv peerpb.Peer_NotifyServer) error {
	self := s.o.self()
	nodes := []Peer{self}
	for _, p := range s.o.cfg.Peers {
		if p.Name != self.Name {
			nodes = append(nodes, p)
		}
	}
	for _, p := range nodes {
		if err := srv.Send(p.added()); err != nil {
			return fmt.Errorf("tell of peer: %w", err)
		}
	}
	<-srv.Context().Done()
	return nil
}

// added is the message that makes p known. A relay demands a server name exactly
// where it is to use TLS.
func (p Peer) added() *peerpb.ChangeNotification {
	n := &peerpb.ChangeNotification{Name: p.Name, Address: p.Address, Type: peerpb.ChangeNotificationType_PEER_ADDED}
	if p.ServerName != "" {
		n.Tls = &peerpb.TLS{ServerName: p.ServerName}
	}
	return n
}

package baseline

import "github.com/seed79351815/weir/collector/flow"

// contact finds or makes what is known of a side's peer; nil where there is no
// room.
func (p *Profile) contact(s *Side, room *room) *Contact {
	m := p.contacts(s.Egress)
	peer := s.Peer
	world := Peer{Kind: PeerWorld}
	if peer.Kind == PeerAddress && m[world] != nil {
		peer = world
	}
	c := m[peer]
	if c == nil {
		if peer.Kind != PeerAddress && others(m) >= maxContacts || !room.take(peer.cost()) {
			return nil
		}
		c = &Contact{}
		m[peer] = c
		if peer.Kind == PeerAddress && len(m) > maxAddresses && addresses(m) > maxAddresses {
			c = gather(m, world)
		}
	}
	if peer.Kind == PeerName {
		c.Addresses = room.insert(c.Addresses, s.Addr)
	}
	return c
}

func addresses(m map[Peer]*Contact) (n int) {
	for p := range m {
		if p.Kind == PeerAddress {
			n++
		}
	}
	return n
}

// others are the peers that are kept each, whatever comes.
func others(m map[Peer]*Contact) int {
	if len(m) < maxContacts {
		return len(m)
	}
	return len(m) - addresses(m)
}

// gather makes one peer of all that are nothing but addresses.
func gather(m map[Peer]*Contact, world Peer) *Contact {
	all := &Contact{}
	for p, c := range m {
		if p.Kind == PeerAddress {
			all.Add(c)
			delete(m, p)
		}
	}
	narrow(all.Services)
	narrow(all.Attempts)
	m[world] = all
	return all
}

// traffic adds what a record tells of a flow; false where there is no room.
func (c *Contact) traffic(s *Side, r *flow.Record, room *room) bool {
	to := &c.Services
	if !Passed(r) {
		to = &c.Attempts
	}
	t := find(to, s.Service, room)
	if t == nil {
		return false
	}
	f := &r.Flow
	t.at(r.Time)
	switch r.Kind {
	case flow.RecordStart:
		add(&t.Started, 1)
		if f.Preexisting {
			add(&t.Preexisting, 1)
		}
	case flow.RecordEnd:
		add(&t.Ended, 1)
		if f.End.Failed() {
			add(&t.Failed, 1)
		}
	}
	switch r.Verdict {
	case flow.VerdictDropped:
		add(&t.Dropped, 1)
	case flow.VerdictAudit:
		add(&t.Audited, 1)
	}
	add(&t.Sent, r.Delta.Sent.Payload)
	add(&t.Received, r.Delta.Received.Payload)
	if len(*to) > maxServices || s.Service.Any && len(*to) > 1 {
		narrow(*to)
	}
	return true
}

// find gives what is kept of a service, or makes it.
func find(m *map[Service]*Traffic, s Service, room *room) *Traffic {
	if all := (*m)[Service{Protocol: s.Protocol, Any: true}]; all != nil {
		return all
	}
	t := (*m)[s]
	if t == nil && room.take(serviceCost) {
		if *m == nil {
			*m = map[Service]*Traffic{}
		}
		t = &Traffic{}
		(*m)[s] = t
	}
	return t
}

// Passed tells traffic from a mere try. A connection is one when it was
// established, however little went over it. Of other protocols every packet
// counts: many are never answered.
func Passed(r *flow.Record) bool {
	f := &r.Flow
	switch {
	case r.Verdict == flow.VerdictDropped:
		return false
	case f.Protocol != flow.TCP:
		return true
	case f.ConnectLatency > 0, f.Preexisting, f.Server.Seen, f.Sent.Payload > 0, f.Received.Payload > 0:
		return true
	case f.End == flow.EndClosed:
		return true
	}
	return false
}

// operation adds an exchange; false where there is no room. One that was told in
// full is one of those that a tally counts.
func (c *Contact) operation(l *flow.L7, port uint16, at int64, room *room) bool {
	o := Operation{l.Protocol, port, clean(l.Method), clean(l.Route)}
	n := c.Operations[o]
	if n == nil {
		if len(c.Operations) >= maxOperations || !room.take(o.cost()) {
			return false
		}
		if c.Operations == nil {
			c.Operations = map[Operation]*Count{}
		}
		n = &Count{}
		c.Operations[o] = n
	}
	n.at(at)
	if t := l.Tally; t != nil {
		add(&n.Count, t.Count)
		if l.Error {
			add(&n.Errors, t.Count)
		}
	}
	return true
}

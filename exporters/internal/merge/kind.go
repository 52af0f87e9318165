package merge

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

// kind is what records have in common that are merged.
type kind struct {
	record         flow.RecordKind
	verdict        flow.Verdict
	protocol       flow.Protocol
	end            flow.End
	preexisting    bool
	client, server party
	port           uint16 // the server's

	// Of an exchange.
	l7            flow.L7Protocol
	seen          flow.Role
	why           flow.Why
	status        uint16
	method, route string
}

// party is an end: its workload, else its address.
type party struct {
	workload *flow.Workload
	addr     netip.Addr
}

func kindOf(r *flow.Record) kind {
	if l := r.L7; l != nil {
		return kind{
			record: r.Kind, verdict: r.Verdict, protocol: l.Exchange.Transport, client: partyOf(&l.Client), server: partyOf(&l.Server),
			port: l.Server.Addr.Port(), l7: l.Protocol, seen: l.Seen, why: l.Exchange.Why, status: l.Exchange.Status, method: l.Method, route: l.Route,
		}
	}
	f := &r.Flow
	return kind{
		record: r.Kind, verdict: r.Verdict, protocol: f.Protocol, end: f.End, preexisting: f.Preexisting,
		client: partyOf(&f.Client), server: partyOf(&f.Server), port: f.Server.Addr.Port(),
	}
}

func partyOf(e *flow.Endpoint) party {
	if w := e.Workload; w != nil && w.Runtime != flow.RuntimeWorld {
		return party{workload: w}
	}
	return party{workload: e.Workload, addr: e.Addr.Addr()}
}

// widened leaves out what there may be very many of, and, if told so, the workloads.
func (k kind) widened(more bool) kind {
	k.client.addr, k.server.addr, k.port, k.method, k.route = netip.Addr{}, netip.Addr{}, 0, "", ""
	if more {
		k.client, k.server, k.status = party{}, party{}, 0
	}
	return k
}

// mergeable tells whether there may be very many of a record: a flow's beginning and
// end, and an exchange. Verdicts and drops are counted together where they are made.
func mergeable(r *flow.Record) bool {
	switch r.Kind {
	case flow.RecordStart, flow.RecordEnd:
		return true
	case flow.RecordL7:
		return r.L7 != nil && r.L7.Exchange != nil
	}
	return false
}

// notable tells whether a record is what people look for.
func notable(r *flow.Record) bool {
	if l := r.L7; l != nil {
		return l.Error || l.Exchange.Why != flow.WhySample
	}
	return r.Verdict != flow.VerdictForwarded || r.Flow.End.Failed() || r.Flow.Drops > 0
}

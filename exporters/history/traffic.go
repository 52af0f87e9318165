package history

import (
	"context"
	"database/sql"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// maxParties bounds what is counted in memory: workloads whose connections are not
// written yet.
const maxParties = 8192

// party is whom a row of the table traffic is about: a workload in the role that it
// plays. Its name is in two parts, because to join them would cost more than to count.
type party struct {
	minute          int64 // since the Unix epoch
	role            flow.Role
	namespace, name string // both empty for all ends that no workload stands behind
}

// traffic is what such a row counts, seen from the party.
type traffic struct {
	opened, failed, drops, retransmits uint64
	sent, received                     uint64 // bytes of payload
}

// addTraffic counts what a flow's record adds. A flow between two workloads counts
// for both, so the sum over all clients is that of all flows. It tells whether
// somebody had to be counted under another name.
func (m *minutes) addTraffic(r *flow.Record) (unnamed bool) {
	var t traffic
	switch r.Kind {
	case flow.RecordStart:
		if !r.Flow.Preexisting {
			t.opened = 1
		}
	case flow.RecordEnd:
		if r.Flow.End.Failed() {
			t.failed = 1
		}
	case flow.RecordDrop:
		if r.Drop != nil {
			t.drops = r.Drop.Packets
		}
	}
	t.retransmits = uint64(r.Delta.Retransmits)
	t.sent, t.received = r.Delta.Sent.Payload, r.Delta.Received.Payload
	if t == (traffic{}) {
		return false // most updates of quiet flows
	}
	minute := r.Time / int64(time.Minute)
	client, server := partyOf(minute, flow.RoleClient, r.Flow.Client.Workload), partyOf(minute, flow.RoleServer, r.Flow.Server.Workload)
	unnamed = m.credit(client, &t)
	if client.namespace == server.namespace && client.name == server.name {
		t = traffic{sent: t.sent, received: t.received} // it sent both ways; all else is one flow's
	}
	t.sent, t.received = t.received, t.sent
	return m.credit(server, &t) || unnamed
}

func partyOf(minute int64, role flow.Role, w *flow.Workload) party {
	if w == nil || w.Runtime == flow.RuntimeWorld {
		return party{minute: minute, role: role}
	}
	return party{minute, role, valid(w.Namespace), valid(w.Name)}
}

func (m *minutes) credit(p party, t *traffic) (unnamed bool) {
	if m.traffic == nil {
		m.traffic = make(map[party]*traffic)
	}
	sum := m.traffic[p]
	if sum == nil && len(m.traffic) >= maxParties {
		unnamed = true
		p.namespace, p.name = "", other
		sum = m.traffic[p]
	}
	if sum == nil {
		sum = new(traffic)
		m.traffic[p] = sum
	}
	sum.add(t)
	m.dirty = true
	return unnamed
}

func (t *traffic) add(o *traffic) {
	t.opened += o.opened
	t.failed += o.failed
	t.drops += o.drops
	t.retransmits += o.retransmits
	t.sent += o.sent
	t.received += o.received
}

// writeTraffic adds to what the table has.
func writeTraffic(ctx context.Context, tx *sql.Tx, all map[party]*traffic) error {
	if len(all) == 0 {
		return nil
	}
	add, err := tx.PrepareContext(ctx, "INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "+
		"opened = opened + excluded.opened, failed = failed + excluded.failed, drops = drops + excluded.drops, "+
		"retransmits = retransmits + excluded.retransmits, sent = sent + excluded.sent, received = received + excluded.received")
	if err != nil {
		return err
	}
	defer add.Close()
	for p, t := range all {
		w := flow.Workload{Namespace: p.namespace, Name: p.name}
		if _, err := add.ExecContext(ctx, p.minute, w.String(), p.role, int64(t.opened), int64(t.failed), int64(t.drops),
			int64(t.retransmits), int64(t.sent), int64(t.received)); err != nil {
			return err
		}
	}
	return nil
}

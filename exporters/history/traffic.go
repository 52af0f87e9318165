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
// plays. It is named when it is written, because that costs more than to count; several
// of one name add up there.
type party struct {
	minute   int64 // since the Unix epoch
	role     flow.Role
	rest     bool           // all for whom there was no room
	workload *flow.Workload // nil for all ends that no workload stands behind
}

// name is empty for all ends that no workload stands behind.
func (p *party) name() string {
	if p.rest {
		return other
	}
	return workloadName(p.workload)
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
	if c, s := client.workload, server.workload; c == s || c != nil && s != nil && c.Name == s.Name && c.Namespace == s.Namespace {
		t = traffic{sent: t.sent, received: t.received} // it sent both ways; all else is one flow's
	}
	t.sent, t.received = t.received, t.sent
	return m.credit(server, &t) || unnamed
}

func partyOf(minute int64, role flow.Role, w *flow.Workload) party {
	if w != nil && w.Runtime == flow.RuntimeWorld {
		w = nil
	}
	return party{minute: minute, role: role, workload: w}
}

func (m *minutes) credit(p party, t *traffic) (unnamed bool) {
	if m.traffic == nil {
		m.traffic = make(map[party]*traffic)
	}
	sum := m.traffic[p]
	if sum == nil && len(m.traffic) >= maxParties {
		unnamed = true
		p.rest, p.workload = true, nil
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
		if _, err := add.ExecContext(ctx, p.minute, p.name(), p.role, int64(t.opened), int64(t.failed), int64(t.drops),
			int64(t.retransmits), int64(t.sent), int64(t.received)); err != nil {
			return err
		}
	}
	return nil
}

package otel

import (
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// Values of network.io.direction.
const (
	transmit = "transmit"
	receive  = "receive"
)

// maxAwaiting bounds the flows whose connect latency is awaited.
const maxAwaiting = 4096

// folder makes series of records. One goroutine uses it at a time.
type folder struct {
	*store
	// awaiting holds the flows whose first record had no connect latency: the
	// server's socket may report before the client's.
	awaiting map[uint64]struct{}
}

func newFolder() *folder { return &folder{newStore(metricBudget), map[uint64]struct{}{}} }

// tally counts exchanges, for each workload of this host that took part.
func (f *folder) tally(l *flow.L7, now time.Time) {
	t, row := l.Tally, l7.Of(l.Protocol)
	if row == nil || t.Count == 0 {
		return
	}
	ends := bothNames(l.Client.Workload, l.Server.Workload)
	f.add(mL7Bytes, now, t.RequestBytes, ends.with(l.Protocol.String(), transmit)...)
	f.add(mL7Bytes, now, t.ResponseBytes, ends.with(l.Protocol.String(), receive)...)
	m := l7Metrics[l.Protocol]
	client := l.Both || l.Seen != flow.RoleServer
	if client {
		f.latency(m.client, l.Client.Workload, t, now, tallyValues(m.client, row, l)...)
	}
	if server := l.Both || l.Seen == flow.RoleServer; server && !(client && m.client == m.server) {
		f.latency(m.server, l.Server.Workload, t, now, tallyValues(m.server, row, l)...)
	}
}

func (f *folder) latency(m metricID, w *flow.Workload, t *flow.Tally, now time.Time, values ...string) {
	f.series(m, w, now, values...).latencies.Add(t.Bucket, t.Count, t.Latency)
}

// tallyValues are those of the attributes of a metric, in the table's order.
func tallyValues(m metricID, row *l7.Protocol, l *flow.L7) []string {
	status, code, failed := l.Tally.Status, "", ""
	if status != flow.NoAnswer {
		code = row.Status(status)
	}
	if fails := row.FailsClient; fails(status) && (m != mHTTPServer || row.Fails(status)) {
		failed = row.Status(status)
	}
	route := l.Route
	if l.Method == "CONNECT" {
		route = "" // an address
	}
	switch m {
	case mHTTPServer:
		name, namespace := serviceName(l.Client.Workload)
		return []string{knownMethod(l.Method), code, route, failed, "http", name, namespace}
	case mHTTPClient:
		name, namespace := serverName(l)
		return []string{knownMethod(l.Method), code, route, failed, name, decimal(l.Tally.Port), namespace}
	case mDNS:
		return []string{l7.QuestionName(route), l.Method, code, failed}
	}
	return []string{route, row.Status(status)}
}

// serverName is the server's name where it has one. Addresses are too many.
func serverName(l *flow.L7) (name, namespace string) {
	if l.Server.Workload == nil && len(l.Server.Names) > 0 {
		return l.Server.Names[0], ""
	}
	return serviceName(l.Server.Workload)
}

// flow counts what a flow's record tells.
func (f *folder) flow(r *flow.Record, now time.Time) {
	x, d := &r.Flow, &r.Delta
	ends, transport := bothNames(x.Client.Workload, x.Server.Workload), x.Protocol.String()
	switch r.Kind {
	case flow.RecordVerdict: // has no numbers but its own
		if j := r.Judged; j != nil {
			f.add(mVerdicts, now, j.Count, ends.with(verdictName(r.Verdict), j.PolicyNames(), j.Rule)...)
		}
		return
	case flow.RecordStart:
		f.add(mFlows, now, 1, ends.with(transport, verdictName(r.Verdict))...)
	case flow.RecordDrop:
		if r.Drop != nil {
			f.add(mDrops, now, r.Drop.Packets, ends.with(transport, r.Drop.Reason)...)
		}
	case flow.RecordEnd:
		if x.End.Failed() {
			f.add(mFailures, now, 1, ends.with(transport, x.End.String())...)
		}
	}
	sent, received := ends.with(transport, transmit), ends.with(transport, receive)
	f.add(mBytes, now, d.Sent.Payload, sent...)
	f.add(mBytes, now, d.Received.Payload, received...)
	f.add(mWireBytes, now, d.Sent.Wire, sent...)
	f.add(mWireBytes, now, d.Received.Wire, received...)
	f.add(mPackets, now, d.Sent.Packets, sent...)
	f.add(mPackets, now, d.Received.Packets, received...)
	if x.Protocol != flow.TCP {
		return
	}
	f.add(mRetransmits, now, uint64(d.Retransmits), ends[:]...)
	// A flow that rests keeps its last RTT: only packets make it a new reading.
	if x.RTT > 0 && d.Received.Packets > 0 {
		f.observe(mRTT, now, x.RTT, ends[:]...)
	}
	f.connected(r, now, ends)
}

// connected observes a connection's latency once.
func (f *folder) connected(r *flow.Record, now time.Time, ends names) {
	x := &r.Flow
	_, awaited := f.awaiting[x.ID]
	first := r.Kind == flow.RecordStart
	switch {
	case x.ConnectLatency > 0 && (first || awaited):
		f.observe(mConnect, now, x.ConnectLatency, ends[:]...)
		delete(f.awaiting, x.ID)
	case awaited && r.Kind == flow.RecordEnd:
		delete(f.awaiting, x.ID)
	case first && !x.Preexisting && len(f.awaiting) < maxAwaiting:
		f.awaiting[x.ID] = struct{}{}
	}
}

// health sets what the pipeline says of itself.
func (f *folder) health(h *collector.Health, now time.Time) {
	f.set(mEvents, now, h.Events, h.Since)
	f.set(mRecords, now, h.Records, h.Since)
	f.set(mLive, now, uint64(max(h.Flows, 0)), h.Since)
	for l, n := range h.Lost {
		f.set(mLost, now, n, h.Since, l.Stage, l.Reason)
	}
}

// set is for a count that somebody else keeps, since a time.
func (f *folder) set(m metricID, now time.Time, n uint64, since int64, values ...string) {
	x := f.series(m, nil, now, values...)
	x.value = n
	if since > 0 && x.sent == 0 {
		x.start = time.Unix(0, since)
	}
}

// names are the values of between.
type names [4]string

func bothNames(client, server *flow.Workload) (n names) {
	n[0], n[1] = serviceName(client)
	n[2], n[3] = serviceName(server)
	return n
}

func (n names) with(more ...string) []string { return append(n[:len(n):len(n)], more...) }

func verdictName(v flow.Verdict) string {
	switch v {
	case flow.VerdictForwarded:
		return "forwarded"
	case flow.VerdictDropped:
		return "dropped"
	case flow.VerdictError:
		return "error"
	case flow.VerdictAudit:
		return "audit"
	}
	return "unknown"
}

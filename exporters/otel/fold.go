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
	found
	// awaiting holds the flows whose first record had no connect latency: the
	// server's socket may report before the client's.
	awaiting map[uint64]struct{}
}

func newFolder() *folder { return &folder{newStore(metricBudget), newFound(), map[uint64]struct{}{}} }

// tally counts exchanges, for each workload of this host that took part.
func (f *folder) tally(l *flow.L7, now time.Time) {
	t, row := l.Tally, l7.Of(l.Protocol)
	if row == nil || t.Count == 0 {
		return
	}
	o := f.operation(row, l, now)
	for _, x := range [...]*series{o.client, o.server} {
		if x != nil {
			x.last = now
			x.latencies.Add(t.Bucket, t.Count, t.Latency)
		}
	}
	f.transferred(&o.sent, l, t.RequestBytes, transmit, now)
	f.transferred(&o.received, l, t.ResponseBytes, receive, now)
}

// transferred counts the bytes of a tally in a series that is made for the first.
func (f *folder) transferred(x **series, l *flow.L7, n uint64, direction string, now time.Time) {
	if n == 0 {
		return
	}
	if *x == nil {
		*x = f.series(mL7Bytes, nil, now, bothNames(l.Client.Workload, l.Server.Workload).with(l.Protocol.String(), direction)...)
	}
	(*x).last = now
	(*x).value += n
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
	p := f.pair(x)
	switch r.Kind {
	case flow.RecordVerdict: // has no numbers but its own
		if j := r.Judged; j != nil {
			f.add(mVerdicts, now, j.Count, p.ends.with(verdictName(r.Verdict), j.PolicyNames(), j.Rule)...)
		}
		return
	case flow.RecordStart:
		f.count(p, begun(r.Verdict), 1, now)
	case flow.RecordDrop:
		if r.Drop != nil {
			f.add(mDrops, now, r.Drop.Packets, p.ends.with(p.transport, r.Drop.Reason)...)
		}
	case flow.RecordEnd:
		if x.End.Failed() {
			f.add(mFailures, now, 1, p.ends.with(p.transport, x.End.String())...)
		}
	}
	f.count(p, sentBytes, d.Sent.Payload, now)
	f.count(p, receivedBytes, d.Received.Payload, now)
	f.count(p, sentWire, d.Sent.Wire, now)
	f.count(p, receivedWire, d.Received.Wire, now)
	f.count(p, sentPackets, d.Sent.Packets, now)
	f.count(p, receivedPackets, d.Received.Packets, now)
	if x.Protocol != flow.TCP {
		return
	}
	f.count(p, retransmits, uint64(d.Retransmits), now)
	// A flow that rests keeps its last RTT: only packets make it a new reading.
	if x.RTT > 0 && d.Received.Packets > 0 {
		f.of(p, roundTrips, now).latency(x.RTT)
	}
	f.connected(p, r, now)
}

// connected observes a connection's latency once.
func (f *folder) connected(p *pair, r *flow.Record, now time.Time) {
	x := &r.Flow
	_, awaited := f.awaiting[x.ID]
	first := r.Kind == flow.RecordStart
	switch {
	case x.ConnectLatency > 0 && (first || awaited):
		f.of(p, connects, now).latency(x.ConnectLatency)
		delete(f.awaiting, x.ID)
	case awaited && r.Kind == flow.RecordEnd:
		delete(f.awaiting, x.ID)
	case first && !x.Preexisting && len(f.awaiting) < maxAwaiting:
		f.awaiting[x.ID] = struct{}{}
	}
}

// expire removes what was silent since before.
func (f *folder) expire(before time.Time) {
	if f.store.expire(before) {
		f.forget()
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

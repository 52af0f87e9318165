package history

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// maxOperations bounds what is counted in memory: workload pairs and operations of
// the minutes that fill.
const maxOperations = 8192

// other is whom and what is counted together where there is no room for names.
const other = "other"

// operation is whom a row of the table red is about: an operation, or, where client
// is empty, all that server was asked (route asSum(flow.RoleServer)) or asked others
// in a protocol. Names of operations' ends are never empty; the server of a sum is
// where it is of all ends that no workload stands behind.
type operation struct {
	minute         int64 // since the Unix epoch
	protocol       flow.L7Protocol
	client, server string
	method, route  string
}

// numbers are what such a row counts.
type numbers struct {
	requests, errors uint64
	sent, received   uint64
	latencies        l7.Histogram
	dirty            bool // not all of it is written
	merged           bool // what the table had of it is counted in
}

func (n *numbers) add(t *flow.Tally, failed bool) {
	n.requests += t.Count
	if failed {
		n.errors += t.Count
	}
	n.sent += t.RequestBytes
	n.received += t.ResponseBytes
	if t.Status != flow.NoAnswer {
		n.latencies.Add(t.Bucket, t.Count, t.Latency)
	}
}

// asked is what tallies are counted by as they come: to name who asked whom costs more
// than to count, and is done once before numbers are written.
type asked struct {
	minute         int64 // since the Unix epoch
	protocol       flow.L7Protocol
	ofClient       bool // it counts for the client
	ofServer       bool
	client, server who
	method, route  string
}

// who is an end of a tally.
type who struct {
	workload *flow.Workload
	name     string // where there is none
}

// minutes are the numbers of the minutes that fill. The zero value is empty.
type minutes struct {
	told    map[asked]*numbers     // what is in neither of the next
	rows    map[operation]*numbers // by operation
	sums    map[operation]*numbers // by workload
	traffic map[party]*traffic     // what is not written yet
	change  time.Time              // since when something waits to be written
	dirty   bool
}

// add counts a tally. It gives how many exchanges had to be counted under other
// names.
func (m *minutes) add(at int64, l *flow.L7) (unnamed uint64) {
	key := asked{
		at / int64(time.Minute), l.Protocol, l.CountsFor(flow.RoleClient), l.CountsFor(flow.RoleServer),
		whoIs(&l.Client), whoIs(&l.Server), l.Method, l.Route,
	}
	n := m.told[key]
	if n == nil {
		if len(m.told) >= maxOperations {
			unnamed = m.settle()
		}
		if m.told == nil {
			m.told = make(map[asked]*numbers)
		}
		n = new(numbers)
		m.told[key] = n
	}
	n.add(l.Tally, l.Error)
	m.dirty = true
	return unnamed
}

// settle names who was told of. It gives how many exchanges had to be counted under
// other names.
func (m *minutes) settle() (unnamed uint64) {
	if m.rows == nil {
		m.rows, m.sums = make(map[operation]*numbers), make(map[operation]*numbers)
	}
	for k, n := range m.told {
		for _, end := range [2]struct {
			counts bool
			role   flow.Role
			of     *flow.Workload
		}{{k.ofClient, flow.RoleClient, k.client.workload}, {k.ofServer, flow.RoleServer, k.server.workload}} {
			if end.counts {
				key := operation{k.minute, k.protocol, "", workloadName(end.of), "", asSum(end.role)}
				countIn(m.sums, key, operation{k.minute, k.protocol, "", other, "", asSum(end.role)}, n)
			}
		}
		key := operation{k.minute, k.protocol, k.client.String(), k.server.String(), valid(k.method), valid(k.route)}
		unnamed += countIn(m.rows, key, operation{k.minute, k.protocol, other, other, "", other}, n)
	}
	clear(m.told)
	return unnamed
}

// countIn adds numbers to the row of key, or to that of rest where there is no room for
// another. It gives how many exchanges came there.
func countIn(rows map[operation]*numbers, key, rest operation, told *numbers) (unnamed uint64) {
	n := rows[key]
	if n == nil && len(rows) >= maxOperations {
		unnamed, key = told.requests, rest
		n = rows[key]
	}
	if n == nil {
		n = new(numbers)
		rows[key] = n
	}
	n.merge(told)
	n.dirty = true
	return unnamed
}

// asSum is the route of a workload's sum.
func asSum(r flow.Role) string {
	if r == flow.RoleServer {
		return "served"
	}
	return "asked"
}

// workloadName is empty where nothing of this host is.
func workloadName(w *flow.Workload) string {
	if w == nil || w.Runtime == flow.RuntimeWorld {
		return ""
	}
	return valid(w.String())
}

func whoIs(e *flow.Endpoint) who {
	switch {
	case e.Workload != nil && e.Workload.Runtime != flow.RuntimeWorld:
		return who{workload: e.Workload}
	case len(e.Names) > 0:
		return who{name: e.Names[0]}
	case e.Addr.Addr().IsValid():
		return who{name: e.Addr.Addr().String()}
	}
	return who{name: other}
}

// String is how an end is called: its workload, else its name or address.
func (w *who) String() string {
	if w.workload != nil {
		return valid(w.workload.String())
	}
	return valid(w.name)
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// due tells whether numbers have waited long enough to be written.
func (m *minutes) due(now time.Time) bool {
	if !m.dirty {
		m.change = time.Time{}
		return false
	}
	if m.change.IsZero() {
		m.change = now
	}
	return now.Sub(m.change) >= flushAfter
}

// write writes the rows that have changed; what is not settled waits for the next time.
func (m *minutes) write(ctx context.Context, tx *sql.Tx) error {
	if !m.dirty {
		return nil
	}
	find, err := tx.PrepareContext(ctx, "SELECT requests, errors, sent, received, duration, latencies FROM red WHERE "+
		"minute = ? AND protocol = ? AND client = ? AND server = ? AND method = ? AND route = ?")
	if err != nil {
		return err
	}
	defer find.Close()
	put, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO red VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer put.Close()
	for k, n := range m.all() {
		if !n.dirty {
			continue
		}
		key := []any{k.minute, k.protocol, k.client, k.server, k.method, k.route}
		if !n.merged { // an earlier run, or a tally that comes late, finds its minute there
			var have numbers
			err := have.scan(find.QueryRowContext(ctx, key...))
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			n.merge(&have)
			n.merged = true
		}
		if _, err := put.ExecContext(ctx, append(key, n.values()...)...); err != nil {
			return err
		}
	}
	return writeTraffic(ctx, tx, m.traffic)
}

// all are the rows of the table red.
func (m *minutes) all() iter.Seq2[operation, *numbers] {
	return func(yield func(operation, *numbers) bool) {
		for _, rows := range [2]map[operation]*numbers{m.rows, m.sums} {
			for k, n := range rows {
				if !yield(k, n) {
					return
				}
			}
		}
	}
}

// written forgets the minutes that are over. It is for after a commit: of a
// transaction that was undone the sums in memory are right, what was merged included.
func (m *minutes) written(now time.Time) {
	m.dirty = false
	clear(m.traffic)
	over := now.Unix()/60 - 1
	for _, n := range m.all() {
		n.dirty = false
	}
	for _, rows := range [2]map[operation]*numbers{m.rows, m.sums} {
		maps.DeleteFunc(rows, func(k operation, _ *numbers) bool { return k.minute < over })
	}
}

func (n *numbers) merge(o *numbers) {
	n.requests += o.requests
	n.errors += o.errors
	n.sent += o.sent
	n.received += o.received
	n.latencies.Merge(&o.latencies)
}

// values are the columns behind the key.
func (n *numbers) values() []any {
	return []any{int64(n.requests), int64(n.errors), int64(n.sent), int64(n.received), int64(n.latencies.Sum), packHistogram(&n.latencies)}
}

// scan reads the columns behind the key, after those that before takes.
func (n *numbers) scan(row interface{ Scan(...any) error }, before ...any) error {
	var requests, failed, sent, received, duration int64
	var buckets []byte
	if err := row.Scan(append(before, &requests, &failed, &sent, &received, &duration, &buckets)...); err != nil {
		return err
	}
	n.requests, n.errors, n.sent, n.received = uint64(requests), uint64(failed), uint64(sent), uint64(received)
	return unpackHistogram(&n.latencies, uint64(duration), buckets)
}

func packHistogram(h *l7.Histogram) []byte {
	out := []byte{} // not NULL
	h.Buckets(func(bucket uint16, n uint64) bool {
		out = binary.AppendUvarint(out, uint64(bucket))
		out = binary.AppendUvarint(out, n)
		return true
	})
	return out
}

var errHistogram = errors.New("latencies that cannot be read")

func unpackHistogram(h *l7.Histogram, sum uint64, b []byte) error {
	for len(b) > 0 {
		bucket, i := binary.Uvarint(b)
		if i <= 0 || bucket > 1<<15 {
			return errHistogram
		}
		n, j := binary.Uvarint(b[i:])
		if j <= 0 {
			return errHistogram
		}
		h.Add(uint16(bucket), n, 0)
		b = b[i+j:]
	}
	h.Sum = sum
	return nil
}

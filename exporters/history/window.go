package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// What one Window may hold; more workloads and operations are summed up as "other".
const (
	maxWindowWorkloads  = 4096
	maxWindowOperations = 4096
)

// Window is what happened over some time, by workload and by operation, and how much
// of that time somebody looked. Its JSON is what the control socket gives: names are
// never changed. All names in it are hostile.
type Window struct {
	Since   time.Time     `json:"since"` // of whole minutes, as the numbers are
	Until   time.Time     `json:"until"`
	First   time.Time     `json:"first"`    // from when on there is anything, in the window or before; zero: there is nothing
	Watched time.Duration `json:"watched"`  // how much of the window was seen
	Gaps    int           `json:"gaps"`     // stretches between First and Until in which nobody looked
	Gap     time.Duration `json:"unseen"`   // how long they were together
	Lost    uint64        `json:"lost"`     // events lost in it
	Total   Traffic       `json:"total"`    // each connection once
	Beyond  uint64        `json:"unlisted"` // exchanges of operations that had no room in Operations but as other

	Workloads  []WindowWorkload  `json:"workloads"`  // in no order
	Operations []WindowOperation `json:"operations"` // in no order
}

// Traffic is what connections carried, seen from one end.
type Traffic struct {
	Opened      uint64 `json:"opened"`
	Failed      uint64 `json:"failed"`
	Drops       uint64 `json:"drops"` // packets
	Retransmits uint64 `json:"retransmits"`
	Sent        uint64 `json:"sent"` // bytes of payload
	Received    uint64 `json:"received"`
}

// Exchanges are requests of one protocol and their answers.
type Exchanges struct {
	Protocol flow.L7Protocol `json:"protocol"`
	Requests uint64          `json:"requests"`
	Errors   uint64          `json:"errors"`
	Sent     uint64          `json:"request_bytes"`
	Received uint64          `json:"response_bytes"`
	P50      int64           `json:"p50_ns"` // 0 where nothing was answered
	P99      int64           `json:"p99_ns"`
}

// WindowWorkload is one workload's part of a Window.
type WindowWorkload struct {
	Name string `json:"name"` // namespace/name; empty: all ends that no workload stands behind
	Traffic
	Served []Exchanges `json:"served,omitempty"` // what it was asked, by protocol
	Asked  []Exchanges `json:"asked,omitempty"`  // what it asked others
}

// WindowOperation is what one workload asked of another.
type WindowOperation struct {
	Client string `json:"client"` // a workload's name; empty: any end that no workload stands behind
	Server string `json:"server"` // a workload's name, else a DNS name or an address
	Method string `json:"method,omitempty"`
	Route  string `json:"route,omitempty"`
	Exchanges
}

// Window sums up the time from since to until, of whole minutes at its beginning. It
// reads every minute of it and may take seconds for days; ctx ends that.
func (r *Reader) Window(ctx context.Context, since, until time.Time) (*Window, error) {
	tx, err := r.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer tx.Rollback()
	w := &Window{Since: since.Truncate(time.Minute), Until: until, Workloads: []WindowWorkload{}, Operations: []WindowOperation{}}
	if err := w.read(ctx, tx); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return w, nil
}

func (w *Window) read(ctx context.Context, tx *sql.Tx) error {
	if err := w.readWatched(ctx, tx); err != nil || w.First.IsZero() {
		return err
	}
	// What is older than the first minute watched is of an older weir, or being deleted.
	first, last := max(w.Since.Unix(), w.First.Unix())/60, w.Until.Unix()/60
	by := workloadsByName{}
	if err := w.readTraffic(ctx, tx, first, last, by); err != nil {
		return err
	}
	if err := by.readSums(ctx, tx, first, last); err != nil {
		return err
	}
	for _, x := range by {
		w.Workloads = append(w.Workloads, *x)
	}
	return w.readOperations(ctx, tx, first, last, by)
}

// readWatched says which minutes somebody looked in. The present one may be yet to be
// written.
func (w *Window) readWatched(ctx context.Context, tx *sql.Tx) error {
	var first sql.NullInt64
	if err := tx.QueryRowContext(ctx, "SELECT min(minute) FROM watched").Scan(&first); err != nil || !first.Valid {
		return err
	}
	w.First = time.Unix(60*first.Int64, 0)
	last := w.Until.Unix() / 60
	rows, err := tx.QueryContext(ctx, "SELECT minute, lost FROM watched WHERE minute BETWEEN ? AND ? ORDER BY minute", w.Since.Unix()/60, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := max(w.Since.Unix()/60, first.Int64) // the minute that would leave no gap
	gap := func(minute int64) {
		if minute > next {
			w.Gaps++
			w.Gap += time.Duration(minute-next) * time.Minute
		}
	}
	for rows.Next() {
		var minute, lost int64
		if err := rows.Scan(&minute, &lost); err != nil {
			return err
		}
		gap(minute)
		next = minute + 1
		w.Watched += min(time.Minute, w.Until.Sub(time.Unix(60*minute, 0)))
		w.Lost += uint64(lost)
	}
	gap(last)
	return rows.Err()
}

type workloadsByName map[string]*WindowWorkload

// of gives a workload's row, or that of others where there is no room.
func (by workloadsByName) of(name string) *WindowWorkload {
	x := by[name]
	if x == nil && len(by) >= maxWindowWorkloads {
		name = other
		x = by[name]
	}
	if x == nil {
		x = &WindowWorkload{Name: name}
		by[name] = x
	}
	return x
}

func (w *Window) readTraffic(ctx context.Context, tx *sql.Tx, first, last int64, by workloadsByName) error {
	rows, err := tx.QueryContext(ctx, "SELECT workload, role, sum(opened), sum(failed), sum(drops), sum(retransmits), sum(sent), sum(received) "+
		"FROM traffic WHERE minute BETWEEN ? AND ? GROUP BY workload, role", first, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var role flow.Role
		var n [6]int64
		if err := rows.Scan(&name, &role, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil {
			return err
		}
		t := traffic{uint64(n[0]), uint64(n[1]), uint64(n[2]), uint64(n[3]), uint64(n[4]), uint64(n[5])}
		by.of(name).Traffic.add(&t)
		if role == flow.RoleClient {
			w.Total.add(&t)
		}
	}
	return rows.Err()
}

func (t *Traffic) add(o *traffic) {
	t.Opened += o.opened
	t.Failed += o.failed
	t.Drops += o.drops
	t.Retransmits += o.retransmits
	t.Sent += o.sent
	t.Received += o.received
}

// readSums reads what workloads were asked, and asked.
func (by workloadsByName) readSums(ctx context.Context, tx *sql.Tx, first, last int64) error {
	const most = 2 * int(flow.L7Protocols) * (maxWindowWorkloads + 1) // there are no more of them
	sums, err := sumUp(ctx, tx, "client = ''", first, last, most, func(k operation) operation {
		k.server = by.of(k.server).Name
		return k
	})
	if err != nil {
		return err
	}
	for k, n := range sums {
		x := by.of(k.server)
		if k.route == asSum(flow.RoleServer) {
			x.Served = append(x.Served, n.exchanges(k.protocol))
		} else {
			x.Asked = append(x.Asked, n.exchanges(k.protocol))
		}
	}
	return nil
}

// readOperations reads what was asked. Clients that are nobody's are one: a public
// server has any number of them.
func (w *Window) readOperations(ctx context.Context, tx *sql.Tx, first, last int64, by workloadsByName) error {
	sums, err := sumUp(ctx, tx, "client <> ''", first, last, maxWindowOperations, func(k operation) operation {
		if by[k.client] == nil && (k.client != other || k.route != other) {
			k.client = ""
		}
		return k
	})
	if err != nil {
		return err
	}
	for k, n := range sums {
		if k.client == other && k.server == other && k.route == other {
			w.Beyond += n.requests
		}
		w.Operations = append(w.Operations, WindowOperation{k.client, k.server, k.method, k.route, n.exchanges(k.protocol)})
	}
	return nil
}

func (n *numbers) exchanges(p flow.L7Protocol) Exchanges {
	return Exchanges{p, n.requests, n.errors, n.sent, n.received, n.latencies.Quantile(0.5), n.latencies.Quantile(0.99)}
}

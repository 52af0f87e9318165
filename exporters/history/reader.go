package history

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// Reader reads a history, also one that a daemon is writing. It is safe for many
// goroutines, and holds up no writer.
type Reader struct {
	read *sql.DB

	lossMu sync.Mutex
	losses map[flow.Loss]uint64
}

// maxReaders bounds the connections that read.
const maxReaders = 4

// NewReader opens the history in a file. The error is fs.ErrNotExist, wrapped, where
// there is none.
func NewReader(path string) (*Reader, error) {
	r, err := openReader(path)
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	version, err := fileVersion(r.read)
	switch {
	case err != nil:
	case version == 0:
		err = errDamaged
	case version < len(migrations):
		err = ErrOlder
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	return r, nil
}

func openReader(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // SQLite would make it
	}
	db, err := open(path, true)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxReaders)
	return &Reader{read: db, losses: make(map[flow.Loss]uint64)}, nil
}

// Close closes the file.
func (r *Reader) Close() error {
	return r.read.Close()
}

// Lost is what the history could not keep or give back, by stage and reason.
// Counters only grow.
func (r *Reader) Lost() map[flow.Loss]uint64 {
	r.lossMu.Lock()
	defer r.lossMu.Unlock()
	out := make(map[flow.Loss]uint64, len(r.losses))
	for l, n := range r.losses {
		out[l] = n
	}
	return out
}

func (r *Reader) lost(l flow.Loss, n uint64) {
	if n == 0 {
		return
	}
	r.lossMu.Lock()
	defer r.lossMu.Unlock()
	r.losses[l] += n
}

// Extent is what a history holds.
type Extent struct {
	Flows       uint64
	First, Last time.Time // of its flows; zero where there are none
	Bytes       int64     // of the file and its log
}

// Extent tells how much there is.
func (r *Reader) Extent(ctx context.Context) (e Extent, err error) {
	var flows, first, last sql.NullInt64
	var pages int64
	err = r.read.QueryRowContext(ctx, "SELECT (SELECT sum(flows) FROM blocks), (SELECT min(first) FROM blocks), (SELECT max(last) FROM blocks), page_count FROM pragma_page_count").
		Scan(&flows, &first, &last, &pages)
	if err != nil {
		return e, fmt.Errorf("history: %w", err)
	}
	e.Flows, e.Bytes = uint64(flows.Int64), pages*pageSize
	if first.Valid {
		e.First, e.Last = time.Unix(0, first.Int64), time.Unix(0, last.Int64)
	}
	return e, nil
}

// RED is what one workload asked of another over some time: requests, errors,
// durations.
type RED struct {
	Protocol         flow.L7Protocol
	Client, Server   string // workloads as namespace/name, else a DNS name or an address; hostile
	Method, Route    string // as in flow.L7; hostile
	Requests, Errors uint64
	Sent, Received   uint64 // bytes of requests and of answers
	Latencies        l7.Histogram
}

// RED sums up the exchanges between two times by workload pair and operation, in
// no order. Times are rounded to the minutes that hold them.
func (r *Reader) RED(ctx context.Context, since, until time.Time) ([]RED, error) {
	sums, err := sumUp(ctx, r.read, "client <> ''", since.Unix()/60, until.Unix()/60, maxSums, func(k operation) operation { return k })
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	out := make([]RED, 0, len(sums))
	for k, n := range sums {
		out = append(out, RED{k.protocol, k.client, k.server, k.method, k.route, n.requests, n.errors, n.sent, n.received, n.latencies})
	}
	return out, nil
}

// maxSums bounds the rows of one answer; more are summed up as other.
const maxSums = 1 << 16

// sumUp sums the rows of the table red for which a condition holds over some minutes,
// by what as makes of their keys. Beyond most keys the rest has one for each protocol.
func sumUp(ctx context.Context, db queryer, where string, first, last int64, most int, as func(operation) operation) (map[operation]*numbers, error) {
	rows, err := db.QueryContext(ctx, "SELECT protocol, client, server, method, route, requests, errors, sent, received, duration, latencies "+
		"FROM red WHERE minute BETWEEN ? AND ? AND "+where, first, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sums := make(map[operation]*numbers)
	for rows.Next() {
		var k operation
		var n numbers
		if err := n.scan(rows, &k.protocol, &k.client, &k.server, &k.method, &k.route); err != nil {
			return nil, err
		}
		k = as(k)
		if sums[k] == nil && len(sums) >= most {
			k = operation{0, k.protocol, other, other, "", other}
		}
		if sums[k] == nil {
			sums[k] = new(numbers)
		}
		sums[k].merge(&n)
	}
	return sums, rows.Err()
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

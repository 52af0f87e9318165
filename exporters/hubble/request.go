package hubble

import (
	"errors"
	"fmt"
	"math"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/filter"
)

// RequestError is a request that cannot be served as it is. gRPC clients get
// it as InvalidArgument.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// query is a request, checked and ready. It belongs to one goroutine.
type query struct {
	want          Want
	first, follow bool
	number        uint64 // 0 is no limit
	since, until  int64  // ns since the Unix epoch
	filters       *filter.Set
	allow         []*flowpb.FlowFilter // what filters was made of
	mask          *mask
	conv          *convert.Converter
}

func newQuery(cfg *Config, req *observerpb.GetFlowsRequest) (q *query, err error) {
	q = &query{
		first: req.GetFirst(), follow: req.GetFollow(), number: req.GetNumber(), since: math.MinInt64, until: math.MaxInt64,
		conv: convert.New(cfg.NodeName, cfg.Version),
	}
	if q.first && q.follow {
		return nil, &RequestError{errors.New("first cannot be specified with follow")}
	}
	if q.want, err = parseWant(req.GetExtensions()); err != nil {
		return nil, &RequestError{err}
	}
	if q.want.Snapshot && cfg.Live == nil {
		return nil, &RequestError{errors.New("request's extensions: this server has no snapshot of living flows")}
	}
	if t := req.GetSince(); t != nil {
		if err := t.CheckValid(); err != nil {
			return nil, &RequestError{fmt.Errorf("since: %w", err)}
		}
		q.since = t.AsTime().UnixNano()
	}
	if t := req.GetUntil(); t != nil {
		if err := t.CheckValid(); err != nil {
			return nil, &RequestError{fmt.Errorf("until: %w", err)}
		}
		q.until = t.AsTime().UnixNano()
	}
	if q.filters, err = filter.Compile(req.GetWhitelist(), req.GetBlacklist()); err != nil {
		return nil, &RequestError{err}
	}
	q.allow = req.GetWhitelist()
	if q.mask, err = newMask(req.GetFieldMask()); err != nil {
		return nil, &RequestError{err}
	}
	return q, nil
}

// hasSince tells whether the request names a time to begin at.
func (q *query) hasSince() bool { return q.since != math.MinInt64 }

// matches tells whether r is wanted, without making a message of it where that
// can be told without.
func (q *query) matches(r *flow.Record) bool {
	if r.Time < q.since || r.Time > q.until {
		return false
	}
	return q.filters.Empty() || q.filters.Match(q.conv.Flow(r))
}

// message is r as the client gets it; nil when it is not wanted.
func (q *query) message(r *flow.Record) *flowpb.Flow {
	if r.Time < q.since || r.Time > q.until {
		return nil
	}
	f := q.conv.Flow(r)
	if !q.filters.Match(f) {
		return nil
	}
	if q.mask.wants("extensions") {
		q.conv.Extend(f, r)
	}
	q.mask.apply(f)
	return f
}

package hubble

import (
	"errors"

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
	window
	want    Want
	filters *filter.Set
	allow   []*flowpb.FlowFilter // what filters was made of
	mask    *mask
	conv    *convert.Converter
}

func newQuery(cfg *Config, req *observerpb.GetFlowsRequest) (q *query, err error) {
	q = &query{conv: convert.New(cfg.NodeName, cfg.Version)}
	if q.window, err = newWindow(req); err != nil {
		return nil, err
	}
	if q.want, err = parseWant(req.GetExtensions()); err != nil {
		return nil, &RequestError{err}
	}
	if q.want.Snapshot && cfg.Live == nil {
		return nil, &RequestError{errors.New("request's extensions: this server has no snapshot of living flows")}
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

// matches tells whether r is wanted, without making a message of it where that
// can be told without.
func (q *query) matches(r *flow.Record) bool {
	if !q.holds(r.Time) {
		return false
	}
	return q.filters.Empty() || q.filters.Match(q.conv.Flow(r))
}

// message is r as the client gets it; nil when it is not wanted.
func (q *query) message(r *flow.Record) *flowpb.Flow {
	if !q.holds(r.Time) {
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

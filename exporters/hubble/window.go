package hubble

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// window is what of the past and the future a request asks for.
type window struct {
	first, follow bool
	number        uint64 // 0 is no limit
	since, until  int64  // ns since the Unix epoch
}

// ranged is what requests for flows and for agent events have in common.
type ranged interface {
	GetNumber() uint64
	GetFirst() bool
	GetFollow() bool
	GetSince() *timestamppb.Timestamp
	GetUntil() *timestamppb.Timestamp
}

// newWindow checks what req says of times and numbers. The error is a
// *RequestError.
func newWindow(req ranged) (window, error) {
	w := window{first: req.GetFirst(), follow: req.GetFollow(), number: req.GetNumber(), since: math.MinInt64, until: math.MaxInt64}
	if w.first && w.follow {
		return w, &RequestError{errors.New("first cannot be specified with follow")}
	}
	for _, t := range []struct {
		name string
		in   *timestamppb.Timestamp
		out  *int64
	}{{"since", req.GetSince(), &w.since}, {"until", req.GetUntil(), &w.until}} {
		if t.in == nil {
			continue
		}
		if err := t.in.CheckValid(); err != nil {
			return w, &RequestError{fmt.Errorf("%s: %w", t.name, err)}
		}
		*t.out = t.in.AsTime().UnixNano()
	}
	return w, nil
}

// hasSince tells whether the request names a time to begin at.
func (w *window) hasSince() bool { return w.since != math.MinInt64 }

// holds tells whether a time is asked for.
func (w *window) holds(at int64) bool { return at >= w.since && at <= w.until }

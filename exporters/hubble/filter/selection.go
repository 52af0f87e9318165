package filter

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// DefaultLast is how many flows a client asks for that says nothing.
const DefaultLast = 20

// Selection is which of the flows that pass the filters are wanted, by flags
// named as those of "hubble observe".
type Selection struct {
	All          bool
	Last, First  uint64
	Follow       bool
	Since, Until string
}

// Register adds the flags to fs.
func (s *Selection) Register(fs *pflag.FlagSet) {
	fs.BoolVar(&s.All, "all", false, "Show all flows that are kept")
	fs.Uint64Var(&s.Last, "last", 0, fmt.Sprintf("Show the newest N flows (default %d)", DefaultLast))
	fs.Uint64Var(&s.First, "first", 0, "Show the oldest N flows")
	fs.BoolVarP(&s.Follow, "follow", "f", false, "Go on with new flows as they come")
	fs.StringVar(&s.Since, "since", "", "Show flows since a time: a duration back from now (5m) or a date ("+time.RFC3339+", 2006-01-02)")
	fs.StringVar(&s.Until, "until", "", "Show flows until a time, given as for --since")
}

// Request is the request for the selected flows that pass the filters. It
// consumes f.
func (s *Selection) Request(now time.Time, f *Flags) (*observerpb.GetFlowsRequest, error) {
	switch {
	case s.First > 0 && s.Last > 0:
		return nil, errors.New("--first and --last cannot be combined")
	case s.First > 0 && s.All:
		return nil, errors.New("--first and --all cannot be combined")
	case s.First > 0 && s.Follow:
		return nil, errors.New("--first and --follow cannot be combined")
	case s.Last > 0 && s.All:
		return nil, errors.New("--last and --all cannot be combined")
	}
	req := &observerpb.GetFlowsRequest{Number: s.Last, Follow: s.Follow}
	if s.First > 0 {
		req.Number, req.First = s.First, true
	}
	if s.Since != "" {
		t, err := ParseTime(now, s.Since)
		if err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
		req.Since = timestamppb.New(t)
	}
	// As in Hubble, who follows does not stop.
	if s.Until != "" && !s.Follow {
		t, err := ParseTime(now, s.Until)
		if err != nil {
			return nil, fmt.Errorf("--until: %w", err)
		}
		req.Until = timestamppb.New(t)
	}
	if req.Since == nil && req.Until == nil && !req.First {
		switch {
		case s.All:
			req.Number = math.MaxUint64
		case s.Last == 0 && !s.Follow:
			req.Number = DefaultLast
		}
	}
	var err error
	if req.Whitelist, req.Blacklist, err = f.Lists(); err != nil {
		return nil, err
	}
	return req, nil
}

// The layouts of dates that Hubble reads.
var layouts = []string{
	time.DateOnly, "2006-01-02T15Z07:00", "2006-01-02T15:04Z07:00", time.RFC3339Nano, time.RFC1123Z,
}

// ParseTime reads a duration back from now, or a date.
func ParseTime(now time.Time, s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration (5m, 1h30m) nor a date (%s)", s, strings.Join(layouts[:4], ", "))
}

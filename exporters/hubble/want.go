package hubble

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Want is what weir's own clients can ask for beyond Hubble's schema: with
// Extensions in GetFlowsRequest.extensions.
type Want struct {
	Updates  bool // follow the updates of living flows too
	Snapshot bool // begin with the latest record of each living flow
	Tallies  bool // follow the tallies of exchanges too: all, past the filters
	More     bool // follow the tallies of exchanges like those that pass the filters, less those shown; not beside Tallies
}

const (
	wantKey      = "weir"
	wantUpdates  = "updates"
	wantSnapshot = "snapshot"
	wantTallies  = "tallies"
	wantMore     = "more"
)

// Extensions is w for a request. What w does not ask for is not named, so that
// an older server need not know it.
func (w Want) Extensions() *anypb.Any {
	fields := make(map[string]*structpb.Value)
	for _, f := range []struct {
		key string
		on  bool
	}{{wantUpdates, w.Updates}, {wantSnapshot, w.Snapshot}, {wantTallies, w.Tallies}, {wantMore, w.More}} {
		if f.on {
			fields[f.key] = structpb.NewBoolValue(true)
		}
	}
	s := &structpb.Struct{Fields: map[string]*structpb.Value{wantKey: structpb.NewStructValue(&structpb.Struct{Fields: fields})}}
	a, err := anypb.New(s)
	if err != nil { // a Struct of booleans always marshals
		panic(err)
	}
	return a
}

// parseWant reads Extensions back; what it does not know it refuses.
func parseWant(a *anypb.Any) (w Want, err error) {
	if a == nil {
		return w, nil
	}
	var s structpb.Struct
	if err := a.UnmarshalTo(&s); err != nil {
		return w, fmt.Errorf("request's extensions: %w", err)
	}
	for k, v := range s.GetFields() {
		if k != wantKey {
			return w, fmt.Errorf("request's extensions: unknown key %q", k)
		}
		for k, v := range v.GetStructValue().GetFields() {
			switch k {
			case wantUpdates:
				w.Updates = v.GetBoolValue()
			case wantSnapshot:
				w.Snapshot = v.GetBoolValue()
			case wantTallies:
				w.Tallies = v.GetBoolValue()
			case wantMore:
				w.More = v.GetBoolValue()
			default:
				return w, fmt.Errorf("request's extensions: unknown key %q", wantKey+"."+k)
			}
		}
	}
	if w.Tallies && w.More {
		return w, errors.New("request's extensions: tallies and more cannot be combined")
	}
	return w, nil
}

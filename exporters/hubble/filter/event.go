package filter

import (
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// eventTypes takes type 0 for any type.
func eventTypes(list []*flowpb.EventTypeFilter) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		e := f.GetEventType()
		return e != nil && slices.ContainsFunc(list, func(w *flowpb.EventTypeFilter) bool {
			return (w.GetType() == 0 || w.GetType() == e.GetType()) && (!w.GetMatchSubType() || w.GetSubType() == e.GetSubType())
		})
	}
}

func dropReasons(list []flowpb.DropReason) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		return f.GetVerdict() == flowpb.Verdict_DROPPED && slices.Contains(list, f.GetDropReasonDesc())
	}
}

// replies takes a dropped flow of unknown direction for a request, as Hubble
// does for clients that ask by the field "reply".
func replies(list []bool) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		if f.GetIsReply() == nil && f.GetVerdict() != flowpb.Verdict_DROPPED {
			return false
		}
		return slices.Contains(list, f.GetIsReply().GetValue())
	}
}

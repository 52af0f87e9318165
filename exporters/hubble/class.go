package hubble

import "github.com/seed79351815/weir/collector/flow"

// class says who may see a record.
type class uint8

const (
	classNone   class = iota // nothing that could be shown
	classEvent               // kept, and served to every client
	classUpdate              // of a living flow: for clients that ask for it
	classTally               // of exchanges that were counted: likewise, and Hubble has no form for it
)

func classOf(r *flow.Record) class {
	switch {
	case r.Kind == flow.RecordUpdate:
		return classUpdate
	case r.Kind == flow.RecordVerdict && r.Judged == nil:
		return classNone
	case r.Kind != flow.RecordL7:
		return classEvent
	case r.L7 == nil:
		return classNone
	case r.L7.Exchange != nil:
		return classEvent
	case r.L7.Tally != nil:
		return classTally
	}
	return classNone
}

// counts are numbers of records by class.
type counts struct{ events, updates, tallies int }

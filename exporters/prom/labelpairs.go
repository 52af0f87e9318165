package prom

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// maxShared bounds how many label pairs are remembered to be shared.
const maxShared = 4096

// labelPairs makes the labels of series as they go out, once for the life of a
// series. Series of the same workloads share those that are equal, which is most
// of them. It is not safe for concurrent use; what it gave is never changed.
type labelPairs struct {
	names  [recordMetrics][]placedName // sorted by name
	shared map[labelPair]*dto.LabelPair
}

// placedName is a label's name and the place of its value in the table's order.
type placedName struct {
	name  string
	place int
}

type labelPair struct{ name, value string }

func newLabelPairs(labels *Labels) *labelPairs {
	l := &labelPairs{shared: map[labelPair]*dto.LabelPair{}}
	for m := range recordMetrics {
		for i, name := range labels.of(m) {
			l.names[m] = append(l.names[m], placedName{name, i})
		}
		slices.SortFunc(l.names[m], func(a, b placedName) int { return cmp.Compare(a.name, b.name) })
	}
	return l
}

// of are the labels of a series of m whose values are given in the table's order.
func (l *labelPairs) of(m id, values []string) []*dto.LabelPair {
	out := make([]*dto.LabelPair, len(values))
	for i, n := range l.names[m] {
		key := labelPair{n.name, values[n.place]}
		p := l.shared[key]
		if p == nil {
			// Whoever chooses names to fill it with only makes others share less.
			if len(l.shared) >= maxShared {
				clear(l.shared)
			}
			p = &dto.LabelPair{Name: &key.name, Value: &key.value}
			l.shared[key] = p
		}
		out[i] = p
	}
	return out
}

package prom

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Labels are the choices that a user has about labels. The zero value is the
// table as it stands. They are immutable once an Exporter has them.
type Labels struct {
	more []endLabel
	omit []string
}

// endLabel is what can be said of an end beside its name and namespace.
type endLabel struct {
	name  string // with source_ and destination_ before it
	value func(*flow.Workload) string
}

// labelPrefix begins the choice of one of a workload's own labels.
const labelPrefix = "label:"

// maxMore bounds how many labels can be added to each end.
const maxMore = 8

var endChoices = []endLabel{
	{"owner", func(w *flow.Workload) string { return w.Owner.Name }},
	{"owner_kind", func(w *flow.Workload) string { return w.Owner.Kind }},
	{"runtime", func(w *flow.Workload) string { return string(w.Runtime) }},
	{"image", func(w *flow.Workload) string { return w.Image }},
	{"container", (*flow.Workload).ShortID},
}

// omittable are the labels that can be left empty. The others are few in number,
// or dashboards and alerts would not work without them.
var omittable = append(slices.Clone(ends),
	"http_request_method", "http_route", "dns_question_name", "dns_question_type", "server_name", "rule")

// ParseLabels reads what is to be added to both ends of each series and what is
// to be left empty: names separated by commas, "label:KEY" for a workload's own
// label. The error names the word that is none of those known.
func ParseLabels(more, omit string) (l Labels, err error) {
	for _, word := range words(more) {
		e, err := parseEndLabel(word)
		if err != nil {
			return Labels{}, err
		}
		if slices.ContainsFunc(l.more, func(o endLabel) bool { return o.name == e.name }) {
			return Labels{}, fmt.Errorf("label %q: %s is there already", word, e.name)
		}
		l.more = append(l.more, e)
	}
	if len(l.more) > maxMore {
		return Labels{}, fmt.Errorf("%d labels: at most %d", len(l.more), maxMore)
	}
	for _, word := range words(omit) {
		if !slices.Contains(omittable, word) {
			return Labels{}, fmt.Errorf("unknown label %q: expected some of %s", word, strings.Join(omittable, ", "))
		}
		l.omit = append(l.omit, word)
	}
	return l, nil
}

func words(list string) (out []string) {
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

func parseEndLabel(word string) (endLabel, error) {
	if key, ok := strings.CutPrefix(word, labelPrefix); ok && key != "" {
		return endLabel{"label_" + labelName(key), func(w *flow.Workload) string {
			v, _ := w.Label(key)
			return v
		}}, nil
	}
	var names []string
	for _, c := range endChoices {
		if c.name == word {
			return c, nil
		}
		names = append(names, c.name)
	}
	return endLabel{}, fmt.Errorf("unknown label %q: expected some of %s, %sKEY", word, strings.Join(names, ", "), labelPrefix)
}

// labelName makes a part of a label's name of any key.
func labelName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// of are the label names of a metric that is made of records.
func (l *Labels) of(m id) []string {
	names := metrics[m].labels
	if m >= recordMetrics || len(l.more) == 0 {
		return names
	}
	out := slices.Clone(ends)
	for _, side := range []string{"source_", "destination_"} {
		for _, e := range l.more {
			out = append(out, side+e.name)
		}
	}
	return append(out, names[len(ends):]...)
}

// ends are the values of the labels that say between whom.
func (l *Labels) ends(client, server *flow.Workload) []string {
	v := make([]string, 0, len(ends)+2*len(l.more))
	for _, w := range []*flow.Workload{client, server} {
		name, namespace := endLabels(w)
		v = append(v, name, namespace)
	}
	for i := range v {
		v[i] = l.keep(ends[i], v[i])
	}
	for _, w := range []*flow.Workload{client, server} {
		for _, e := range l.more {
			if w == nil {
				v = append(v, "")
			} else {
				v = append(v, clean(e.value(w)))
			}
		}
	}
	return v
}

// overflowEnds are those of the series that took what had no budget.
func (l *Labels) overflowEnds() []string {
	return slices.Repeat([]string{other}, len(ends)+2*len(l.more))
}

// keep is value, or nothing where the label is left empty.
func (l *Labels) keep(label, value string) string {
	if slices.Contains(l.omit, label) {
		return ""
	}
	return value
}

package convert

import (
	"reflect"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
)

// maxInterned bounds what a Decoder remembers.
const maxInterned = 16384

// intern completes w by what the flow's endpoint says and gives the value that
// an earlier flow already had, where nothing changed.
func (d *Decoder) intern(w *flow.Workload, e *flowpb.Endpoint) *flow.Workload {
	if w == nil {
		return nil
	}
	w.Namespace = cut(e.GetNamespace())
	if w.Name == "" {
		w.Name = cut(e.GetPodName())
	}
	w.Labels = labels(e.GetLabels())
	if old, ok := d.workloads[w.CgroupID]; ok && reflect.DeepEqual(old, w) {
		return old
	}
	if len(d.workloads) >= maxInterned {
		clear(d.workloads)
	}
	d.workloads[w.CgroupID] = w
	return w
}

// labels parses "source:key=value".
func labels(in []string) (out []flow.Label) {
	if len(in) > maxLabels {
		in = in[:maxLabels]
	}
	for _, s := range in {
		out = append(out, parseLabel(cut(s)))
	}
	return out
}

func parseLabel(s string) (l flow.Label) {
	l.Source, l.Key, _ = strings.Cut(s, ":")
	l.Key, l.Value, _ = strings.Cut(l.Key, "=")
	return l
}

func (d *Decoder) nameList(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	if len(in) > maxNames {
		in = in[:maxNames]
	}
	key := strings.Join(in, "\x00")
	if old, ok := d.names[key]; ok && slices.Equal(old, in) {
		return old
	}
	if len(d.names) >= maxInterned {
		clear(d.names)
	}
	out := make([]string, len(in))
	for i := range in {
		out[i] = cut(in[i])
	}
	d.names[key] = out
	return out
}

package filter

import (
	"errors"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func sourcePod(f *flowpb.Flow) (ns, name string) {
	return f.GetSource().GetNamespace(), f.GetSource().GetPodName()
}

func destinationPod(f *flowpb.Flow) (ns, name string) {
	return f.GetDestination().GetNamespace(), f.GetDestination().GetPodName()
}

func sourceService(f *flowpb.Flow) (ns, name string) {
	return f.GetSourceService().GetNamespace(), f.GetSourceService().GetName()
}

func destinationService(f *flowpb.Flow) (ns, name string) {
	return f.GetDestinationService().GetNamespace(), f.GetDestinationService().GetName()
}

func sourceLabels(f *flowpb.Flow) []string      { return f.GetSource().GetLabels() }
func destinationLabels(f *flowpb.Flow) []string { return f.GetDestination().GetLabels() }

// names takes "[namespace/][prefix]". A name without a namespace is one in any
// namespace: Hubble would take "default", which only Kubernetes has.
func names(list []string, get func(*flowpb.Flow) (ns, name string)) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	type want struct{ ns, prefix string }
	wants := make([]want, len(list))
	for i, s := range list {
		if s == "" {
			return nil, errors.New("an empty name")
		}
		ns, prefix, slash := strings.Cut(s, "/")
		if !slash {
			ns, prefix = "", s
		}
		wants[i] = want{ns, prefix}
	}
	return func(f *flowpb.Flow) bool {
		ns, name := get(f)
		if ns == "" && name == "" {
			return false
		}
		return slices.ContainsFunc(wants, func(w want) bool {
			return strings.HasPrefix(name, w.prefix) && (w.ns == "" || w.ns == ns)
		})
	}, nil
}

func workloads(list []*flowpb.Workload, get func(*flowpb.Flow) *flowpb.Endpoint) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		return slices.ContainsFunc(get(f).GetWorkloads(), func(have *flowpb.Workload) bool {
			return slices.ContainsFunc(list, func(w *flowpb.Workload) bool {
				return (w.GetName() == "" || w.GetName() == have.GetName()) && (w.GetKind() == "" || w.GetKind() == have.GetKind())
			})
		})
	}
}

func identities(list []uint32, get func(*flowpb.Flow) *flowpb.Endpoint) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool {
		e := get(f)
		return e != nil && slices.Contains(list, e.GetIdentity())
	}
}

func clusters(list []string, get func(*flowpb.Flow) *flowpb.Endpoint) (Match, error) {
	if slices.Contains(list, "") {
		return nil, errors.New("an empty name")
	}
	return oneOf(list, func(f *flowpb.Flow) string { return get(f).GetClusterName() }), nil
}

package suggest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

func TestSelectors(t *testing.T) {
	bare := flowtest.Container(50, "bare")
	bare.Labels = slices.DeleteFunc(bare.Labels, func(l flow.Label) bool { return l.Key != "id" })
	forged := flowtest.Container(51, "forged\x1b[2J")
	for _, tc := range []struct {
		name      string
		workloads []*flow.Workload // the first is asked for
		want      string           // labels; empty: none names it
		doubt     string
	}{
		{"a Compose service", []*flow.Workload{flowtest.Service(11, "shop", "web", 1), flowtest.Service(14, "blog", "web", 1)},
			"container:com.docker.compose.project=shop,container:com.docker.compose.service=web", ""},
		{"its replicas", []*flow.Workload{flowtest.Service(11, "shop", "web", 1), flowtest.Service(12, "shop", "web", 2)},
			"container:com.docker.compose.project=shop,container:com.docker.compose.service=web", ""},
		{"a container", []*flow.Workload{flowtest.Container(21, "cache"), flowtest.Container(22, "worker")}, "container:name=cache", ""},
		{"a unit", []*flow.Workload{flowtest.Unit(41, "sshd.service")}, "systemd:unit=sshd.service", ""},
		{"the host", []*flow.Workload{flowtest.Host()}, "reserved:host=", ""},
		{"pods", []*flow.Workload{flowtest.Pod(31, "default", "cart", "a", "k8s", "app", "cart"), flowtest.Pod(32, "default", "cart", "b", "k8s", "app", "cart")},
			"k8s:app=cart,k8s:io.kubernetes.pod.namespace=default", ""},
		{"pods of an app of two parts", []*flow.Workload{
			flowtest.Pod(31, "default", "cart", "a", "k8s", "app", "cart", "k8s", "part", "1"), flowtest.Pod(32, "default", "cart", "b", "k8s", "app", "cart", "k8s", "part", "1"),
			flowtest.Pod(33, "default", "cron", "c", "k8s", "app", "cart", "k8s", "part", "2"), flowtest.Pod(34, "default", "cron", "d", "k8s", "app", "cart", "k8s", "part", "2")},
			"k8s:app=cart,k8s:io.kubernetes.pod.namespace=default,k8s:part=1", ""},
		{"pods that no label tells apart", []*flow.Workload{
			flowtest.Pod(31, "default", "cart", "a", "k8s", "app", "cart"), flowtest.Pod(32, "default", "cart", "b", "k8s", "app", "cart"),
			flowtest.Pod(33, "default", "cron", "c", "k8s", "app", "cart"), flowtest.Pod(34, "default", "cron", "d", "k8s", "app", "cart")},
			"k8s:app=cart,k8s:io.kubernetes.pod.namespace=default", "also selects default/cron"},
		{"a container without a name", []*flow.Workload{bare}, "container:id=000000000032", "the container's id"},
		{"a name that nobody could read", []*flow.Workload{func() *flow.Workload {
			forged.Labels = slices.DeleteFunc(forged.Labels, func(l flow.Label) bool { return l.Key == "id" })
			return forged
		}()}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var records []flow.Record
			for i, w := range tc.workloads {
				records = append(records, flowtest.Flow(uint64(i), flow.TCP, flowtest.Local(w, 1), flowtest.Remote("198.51.100.7", 443))...)
			}
			k, _ := baseline.KeyOf(tc.workloads[0])
			s, err := For(learned(t, records), k)
			if tc.want == "" {
				if err == nil {
					t.Errorf("selected by %v", s.Policy.Specs[0].Endpoints)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			labels := s.Policy.Specs[0].Endpoints.Labels
			var got []string
			for _, l := range slices.Sorted(maps.Keys(labels)) {
				got = append(got, l+"="+labels[l])
			}
			if strings.Join(got, ",") != tc.want {
				t.Errorf("selected by %q, want %q", got, tc.want)
			}
			doubts := strings.Join(s.Unproven, "\n")
			if strings.Contains(doubts, "selector") != (tc.doubt != "") || !strings.Contains(doubts, tc.doubt) {
				t.Errorf("not proven %q, want %q", s.Unproven, tc.doubt)
			}
		})
	}
}

package identity

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/flow"
)

func TestOwnership(t *testing.T) {
	type labels = map[string]string
	pod := func(name string) labels { return labels{labelPodName: name, labelPodNamespace: "prod"} }
	for _, tt := range []struct {
		c               container
		name, namespace string
		owner           flow.Owner
	}{
		{container{name: "db"}, "db", "", flow.Owner{Kind: "Container", Name: "db"}},
		{container{name: "shop-web-1", labels: labels{labelComposeProject: "shop", labelComposeService: "web"}}, "shop-web-1", "shop", flow.Owner{Kind: "ComposeService", Name: "web"}},
		{container{name: "st_web.1.x", labels: labels{labelSwarmService: "st_web", labelStackNamespace: "st"}}, "st_web.1.x", "st", flow.Owner{Kind: "SwarmService", Name: "st_web"}},
		{container{name: "web-1f", labels: labels{labelNomadJob: "web", labelNomadNamespace: "default"}}, "web-1f", "default", flow.Owner{Kind: "NomadJob", Name: "web"}},
		{container{labels: pod("web-5d4f-abcde"), podLabels: labels{labelTemplateHash: "5d4f"}}, "web-5d4f-abcde", "prod", flow.Owner{Kind: "Deployment", Name: "web"}},
		{container{labels: pod("odd"), podLabels: labels{labelTemplateHash: "5d4f"}}, "odd", "prod", flow.Owner{Kind: "Pod", Name: "odd"}},
		{container{labels: pod("db-0"), podLabels: labels{labelRevisionHash: "x", labelPodIndex: "0"}}, "db-0", "prod", flow.Owner{Kind: "StatefulSet", Name: "db"}},
		{container{labels: pod("db-12"), podLabels: labels{labelRevisionHash: "x", labelStatefulSetPod: "db-12"}}, "db-12", "prod", flow.Owner{Kind: "StatefulSet", Name: "db"}},
		{container{labels: pod("agent-x7x8z"), podLabels: labels{labelRevisionHash: "x"}}, "agent-x7x8z", "prod", flow.Owner{Kind: "DaemonSet", Name: "agent"}},
		{container{labels: pod("mig-abcde"), podLabels: labels{labelJob: "mig"}}, "mig-abcde", "prod", flow.Owner{Kind: "Job", Name: "mig"}},
		{container{labels: pod("b-28000000-abcde"), podLabels: labels{labelJobOld: "b-28000000"}}, "b-28000000-abcde", "prod", flow.Owner{Kind: "CronJob", Name: "b"}},
		{container{labels: pod("static-node1")}, "static-node1", "prod", flow.Owner{Kind: "Pod", Name: "static-node1"}},
	} {
		name, namespace, owner := ownership(&tt.c)
		if name != tt.name || namespace != tt.namespace || owner != tt.owner {
			t.Errorf("ownership(%v %v) = %q %q %v, want %q %q %v", tt.c.labels, tt.c.podLabels, name, namespace, owner, tt.name, tt.namespace, tt.owner)
		}
	}
}

func labelTexts(w *flow.Workload) (out []string) {
	for _, l := range w.Labels {
		out = append(out, l.String())
	}
	return out
}

func TestBuildLabels(t *testing.T) {
	tests := []struct {
		path string
		info *container
		want []string
	}{
		{"/", nil, []string{"reserved:host"}},
		{"/system.slice/nginx.service", nil, []string{"systemd:unit=nginx.service"}},
		{"/shop/web", nil, nil},
		{"/docker/" + idA, &container{id: idA, name: "web", image: "nginx:1", labels: map[string]string{"tier": "front", "name": "liar", "id": "liar", "flag": ""}},
			[]string{"container:flag", "container:id=de9c2d976f54", "container:image=nginx:1", "container:name=web", "container:tier=front"}},
		{"/kubepods/pod" + uid + "/" + idA, &container{id: idA, labels: map[string]string{labelPodName: "p", labelPodNamespace: "ns", labelContainerName: "c"}, podLabels: map[string]string{"app": "x", labelPodNamespace: "liar"}},
			[]string{"container:id=de9c2d976f54", "container:name=c", "k8s:app=x", "k8s:io.kubernetes.container.name=c",
				"k8s:io.kubernetes.pod.name=p", "k8s:io.kubernetes.pod.namespace=ns", "k8s:io.kubernetes.pod.uid=" + uid}},
		{"/system.slice/web.service/libpod-payload-" + idA, &container{id: idA, name: "web"},
			[]string{"container:id=de9c2d976f54", "container:name=web", "systemd:unit=web.service"}},
	}
	for _, tt := range tests {
		w := build(7, tt.path, parsePath(tt.path), tt.info, false)
		if got := labelTexts(w); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("labels of %s\n got %q\nwant %q", tt.path, got, tt.want)
		}
	}
	w := build(7, "/user.slice/user-1000.slice/session-3.scope", parsePath("/user.slice/user-1000.slice/session-3.scope"), nil, false)
	if w.Owner != (flow.Owner{Kind: "Unit", Name: "user-1000.slice"}) {
		t.Errorf("a session belongs to %v, want the user's slice", w.Owner)
	}
}

func TestBounds(t *testing.T) {
	labels := map[string]string{labelComposeService: strings.Repeat("s", 5000), strings.Repeat("k", 300): "v", "bad": "\xff\xfe"}
	for i := range 1000 {
		labels[fmt.Sprintf("a%04d", i)] = "x"
	}
	var addrs []netip.Addr
	for i := range 1000 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	c := merge(nil, container{id: idA, name: strings.Repeat("ü", 1000), image: strings.Repeat("i", 5000), labels: labels, addrs: addrs})
	w := build(1, "/docker/"+idA, parsePath("/docker/"+idA), c, false)
	if len(w.Labels) > maxLabels || len(w.Name) > maxName || len(w.Image) > maxImage || len(w.Addrs) > maxAddrs || len(w.Owner.Name) > maxName {
		t.Errorf("out of bounds: %d labels, name %d, image %d, %d addresses, owner %d", len(w.Labels), len(w.Name), len(w.Image), len(w.Addrs), len(w.Owner.Name))
	}
	if _, ok := w.Label(labelComposeService); !ok {
		t.Error("the Compose label had to go for labels that nobody reads")
	}
	for _, l := range w.Labels {
		if len(l.Key) > maxLabelKey || len(l.Value) > maxLabelValue || !utf8.ValidString(l.Key) || !utf8.ValidString(l.Value) {
			t.Errorf("label out of bounds: %q", l)
		}
	}
	if !utf8.ValidString(w.Name) {
		t.Errorf("the name was cut inside of a rune: %q", w.Name)
	}
}

func TestMerge(t *testing.T) {
	a1, a2 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	api := merge(nil, container{id: idA, trust: trustAPI, runtime: flow.RuntimeDocker, name: "web", pid: 7, addrs: []netip.Addr{a1}})
	got := merge(api, container{id: idA, trust: trustFile, runtime: flow.RuntimeContainerd, name: "stale", image: "img", addrs: []netip.Addr{a2}})
	if got.name != "web" || got.runtime != flow.RuntimeDocker || got.image != "img" || got.addrs[0] != a1 {
		t.Errorf("a lesser source changed more than gaps: %+v", got)
	}
	got = merge(got, container{id: idA, trust: trustAPI, runtime: flow.RuntimeDocker, name: "web2", addrs: []netip.Addr{a2}})
	if got.name != "web2" || got.pid != 7 || got.addrs[0] != a2 {
		t.Errorf("a rename was not taken: %+v", got)
	}
	if got = merge(got, container{id: idA, trust: trustAPI, name: "web2"}); len(got.addrs) != 0 {
		t.Errorf("addresses that the API no longer gives stay: %v", got.addrs)
	}
}

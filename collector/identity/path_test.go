package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	idA = "de9c2d976f5457842d039de0b3a5ac8fea8637c624c6683d6ca6a742d4a27398"
	idB = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uid = "0a1b2c3d-1111-2222-3333-444455556666"
)

func TestParsePath(t *testing.T) {
	docker, containerd, crio, podman, lxc := flow.RuntimeDocker, flow.RuntimeContainerd, flow.RuntimeCRIO, flow.RuntimePodman, flow.RuntimeLXC
	cgroup, systemd := flow.RuntimeCgroup, flow.RuntimeSystemd
	uidUnderscores := strings.ReplaceAll(uid, "-", "_")
	ecs := "0123456789abcdef0123456789abcdef-1234567890"
	tests := []struct {
		path string
		want place // name is checked only where it is set
	}{
		{"/", place{key: "host", kind: placeHost, runtime: flow.RuntimeHost, name: "host"}},
		{"", place{key: "host", kind: placeHost, runtime: flow.RuntimeHost, name: "host"}},
		// Docker
		{"/docker/" + idA, place{key: idA, kind: placeContainer, runtime: docker, container: idA, name: idA[:12]}},
		{"/system.slice/docker-" + idA + ".scope", place{key: idA, kind: placeContainer, runtime: docker, container: idA, name: idA[:12]}},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope",
			place{key: idA, kind: placeContainer, runtime: docker, container: idA, unit: "user@1000.service", name: idA[:12]}},
		{"/docker/" + idA + "/system.slice/nginx.service", place{key: idA, kind: placeContainer, runtime: docker, container: idA, name: idA[:12]}},
		{"/docker/" + idA + "/docker/" + idB, place{key: idB, kind: placeContainer, runtime: docker, container: idB, name: idB[:12]}},
		{"/actions_job/" + idA, place{key: idA, kind: placeContainer, runtime: cgroup, container: idA, name: idA[:12]}},
		// Kubernetes
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidUnderscores + ".slice/cri-containerd-" + idA + ".scope",
			place{key: idA, kind: placeContainer, runtime: containerd, container: idA, podUID: uid, name: idA[:12]}},
		{"/kubepods/burstable/pod" + uid + "/" + idA, place{key: idA, kind: placeContainer, runtime: cgroup, container: idA, podUID: uid, name: idA[:12]}},
		{"/kubepods/pod" + uid + "/" + idA + "/init", place{key: idA, kind: placeContainer, runtime: cgroup, container: idA, podUID: uid, name: idA[:12]}},
		{"/kubepods.slice/kubepods-pod" + uidUnderscores + ".slice:cri-containerd:" + idA,
			place{key: idA, kind: placeContainer, runtime: containerd, container: idA, podUID: uid, name: idA[:12]}},
		{"/system.slice/kubepods-besteffort-pod" + uidUnderscores + ".slice:cri-containerd:" + idA,
			place{key: idA, kind: placeContainer, runtime: containerd, container: idA, podUID: uid, name: idA[:12]}},
		{"/kubepods.slice/kubepods-podaaaabbbbccccddddeeeeffff00001111.slice/crio-" + idA + ".scope/container",
			place{key: idA, kind: placeContainer, runtime: crio, container: idA, podUID: "aaaabbbbccccddddeeeeffff00001111", name: idA[:12]}},
		{"/kubepods/besteffort/pod" + uid + "/crio-" + idA, place{key: idA, kind: placeContainer, runtime: crio, container: idA, podUID: uid, name: idA[:12]}},
		{"/kubepods/burstable/pod" + uid, place{key: "pod:" + uid, kind: placePod, runtime: cgroup, podUID: uid, name: "pod-" + uid}},
		{"/kubepods.slice/kubepods-pod" + uidUnderscores + ".slice", place{key: "pod:" + uid, kind: placePod, runtime: cgroup, podUID: uid,
			unit: "kubepods-pod" + uidUnderscores + ".slice", name: "pod-" + uid}},
		// Podman
		{"/machine.slice/libpod-" + idA + ".scope/container", place{key: idA, kind: placeContainer, runtime: podman, container: idA, name: idA[:12]}},
		{"/libpod_parent/libpod-" + idA, place{key: idA, kind: placeContainer, runtime: podman, container: idA, name: idA[:12]}},
		{"/system.slice/web.service/libpod-payload-" + idA, place{key: idA, kind: placeContainer, runtime: podman, container: idA, unit: "web.service", name: idA[:12]}},
		{"/machine.slice/libpod-conmon-" + idA + ".scope", place{key: "/machine.slice/libpod-conmon-" + idA + ".scope", kind: placeUnit, runtime: systemd,
			unit: "libpod-conmon-" + idA + ".scope", name: "libpod-conmon-" + idA + ".scope"}},
		{"/kubepods.slice/crio-conmon-" + idA + ".scope", place{key: "/kubepods.slice/crio-conmon-" + idA + ".scope", kind: placeUnit, runtime: systemd,
			unit: "crio-conmon-" + idA + ".scope", name: "crio-conmon-" + idA + ".scope"}},
		// others
		{"/system.slice/nerdctl-" + idA + ".scope", place{key: idA, kind: placeContainer, runtime: containerd, container: idA, name: idA[:12]}},
		{"/default/" + idA, place{key: idA, kind: placeContainer, runtime: cgroup, container: idA, name: idA[:12]}},
		{"/ecs/0123456789abcdef0123456789abcdef/" + idA, place{key: idA, kind: placeContainer, runtime: docker, container: idA, name: idA[:12]}},
		{"/ecs/0123456789abcdef0123456789abcdef/" + ecs, place{key: ecs, kind: placeContainer, runtime: containerd, container: ecs, name: ecs}},
		{"/lxc.payload.web/system.slice/ssh.service", place{key: "web", kind: placeContainer, runtime: lxc, container: "web", name: "web"}},
		{"/lxc/web", place{key: "web", kind: placeContainer, runtime: lxc, container: "web", name: "web"}},
		{"/lxc.monitor.web", place{key: "/lxc.monitor.web", kind: placePlain, runtime: cgroup, name: "lxc.monitor.web"}},
		// systemd
		{"/system.slice/nginx.service", place{key: "/system.slice/nginx.service", kind: placeUnit, runtime: systemd, unit: "nginx.service", name: "nginx.service"}},
		{"/system.slice/nginx.service/workers/1", place{key: "/system.slice/nginx.service", kind: placeUnit, runtime: systemd, unit: "nginx.service", name: "nginx.service"}},
		{`/system.slice/system-dev\x2dx.slice/dev\x2dx@1.service`, place{key: `/system.slice/system-dev\x2dx.slice/dev\x2dx@1.service`, kind: placeUnit, runtime: systemd,
			unit: "dev-x@1.service", name: "dev-x@1.service"}},
		{"/user.slice/user-1000.slice/session-3.scope", place{key: "/user.slice/user-1000.slice/session-3.scope", kind: placeUnit, runtime: systemd,
			unit: "session-3.scope", name: "session-3.scope"}},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/foot.service", place{key: "/user.slice/user-1000.slice/user@1000.service/app.slice/foot.service",
			kind: placeUnit, runtime: systemd, unit: "user@1000.service", userUnit: "foot.service", name: "foot.service"}},
		{"/user.slice/user-1000.slice/user@1000.service/init.scope", place{key: "/user.slice/user-1000.slice/user@1000.service/init.scope",
			kind: placeUnit, runtime: systemd, unit: "user@1000.service", userUnit: "init.scope", name: "init.scope"}},
		{"/system.slice", place{key: "/system.slice", kind: placeUnit, runtime: systemd, unit: "system.slice", name: "system.slice"}},
		// plain
		{"/shop/web", place{key: "/shop/web", kind: placePlain, runtime: cgroup, name: "web"}},
		{"/docker", place{key: "/docker", kind: placePlain, runtime: cgroup, name: "docker"}},
		{"/docker/" + strings.ToUpper(idA), place{key: "/docker/" + strings.ToUpper(idA), kind: placePlain, runtime: cgroup, name: strings.ToUpper(idA)}},
		{"/docker/" + idA[:63], place{key: "/docker/" + idA[:63], kind: placePlain, runtime: cgroup, name: idA[:63]}},
	}
	for _, tt := range tests {
		if got := parsePath(tt.path); got != tt.want {
			t.Errorf("parsePath(%q)\n got %+v\nwant %+v", tt.path, got, tt.want)
		}
	}
}

func TestUnescapeUnit(t *testing.T) {
	for in, want := range map[string]string{
		`a\x2db.service`: "a-b.service",
		`plain`:          "plain",
		`cut\x2`:         `cut\x2`,
		`bad\xzz`:        `bad\xzz`,
		`\x41\x4A`:       "AJ",
	} {
		if got := unescapeUnit(in); got != want {
			t.Errorf("unescapeUnit(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/docker/" + idA, "/a.slice/b.service/c", `/x\x2`, "//", "/a:b:c", "/kubepods/pod" + uid, "/lxc/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := parsePath(s)
		if p.name == "" || p.key == "" || p.runtime == "" {
			t.Fatalf("parsePath(%q) = %+v: name, key and runtime are never empty", s, p)
		}
		if (p.kind == placeContainer) != (p.container != "") {
			t.Fatalf("parsePath(%q) = %+v: a container has an id", s, p)
		}
		if strings.Contains(p.container, "/") {
			t.Fatalf("parsePath(%q): id %q can leave its directory", s, p.container)
		}
		w := build(1, s, p, nil, false)
		if w.Name == "" || len(w.Name) > maxName || !utf8.ValidString(w.Name) || len(w.Cgroup) > maxPath {
			t.Fatalf("workload of %q is out of bounds: %+v", s, w)
		}
	})
}

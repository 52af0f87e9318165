package identity

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func TestFilesLookup(t *testing.T) {
	crio, podman, broken := strings.Repeat("d", 64), strings.Repeat("e", 64), strings.Repeat("f", 64)
	for _, tt := range []struct {
		id, path string
		want     flow.Workload
		addrs    []string
	}{
		{idA, "/docker/" + idA, flow.Workload{Runtime: flow.RuntimeDocker, Name: "shop-web-1", Namespace: "shop", Image: "nginx:1.29", PID: 16495,
			Owner: flow.Owner{Kind: "ComposeService", Name: "web"}}, []string{"172.18.0.2", "fd00::2"}},
		{idB, "/kubepods/pod" + uid + "/" + idB, flow.Workload{Runtime: flow.RuntimeContainerd, Name: "web-5d4f-abcde", Namespace: "prod",
			Image: "docker.io/library/nginx:1.29", PID: 4242, Owner: flow.Owner{Kind: "Pod", Name: "web-5d4f-abcde"}}, nil},
		{crio, "/kubepods/pod" + uid + "/crio-" + crio, flow.Workload{Runtime: flow.RuntimeCRIO, Name: "api-0", Namespace: "prod", Image: "quay.io/x/api:2", PID: 77,
			Owner: flow.Owner{Kind: "Pod", Name: "api-0"}}, []string{"10.85.0.7"}},
		{podman, "/machine.slice/libpod-" + podman + ".scope/container", flow.Workload{Runtime: flow.RuntimePodman, Name: "blog",
			Image: "docker.io/library/ghost:5", Owner: flow.Owner{Kind: "Container", Name: "blog"}}, nil},
		{broken, "/docker/" + broken, flow.Workload{Runtime: flow.RuntimeDocker, Name: "ffffffffffff", Owner: flow.Owner{Kind: "Container", Name: "ffffffffffff"}}, nil},
	} {
		tab := newTable()
		tab.see(3, tt.path, false)
		for _, c := range (files{"testdata/host"}).lookup(tt.id) {
			tab.learn(c, time.Unix(1, 0))
		}
		got := *tab.workload(3)
		var addrs []string
		for _, a := range got.Addrs {
			addrs = append(addrs, a.String())
		}
		if !reflect.DeepEqual(addrs, tt.addrs) {
			t.Errorf("%s: addresses %v, want %v", tt.want.Name, addrs, tt.addrs)
		}
		tt.want.CgroupID, tt.want.Cgroup, tt.want.Container = 3, tt.path, tt.id
		got.Labels, got.Addrs = nil, nil
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("workload of %s\n got %+v\nwant %+v", tt.path, got, tt.want)
		}
	}
}

func TestFilesStayInside(t *testing.T) {
	for _, id := range []string{"", "..", "../../../etc", "web", idA + "/x", strings.ToUpper(idA)} {
		if got := (files{"testdata/host"}).lookup(id); got != nil {
			t.Errorf("lookup(%q) = %v: an id that is no id was looked for", id, got)
		}
	}
}

func TestReadBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := readBounded(path, 5); err != nil || string(b) != "12345" {
		t.Errorf("readBounded = %q, %v", b, err)
	}
	if _, err := readBounded(path, 4); !errors.Is(err, errTooLarge) {
		t.Errorf("a large file: %v, want errTooLarge", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Skip(err)
	}
	if _, err := readBounded(fifo, 4); err == nil {
		t.Error("a FIFO was read")
	}
}

func FuzzFormats(f *testing.F) {
	for _, path := range must(filepath.Glob("testdata/host/*/*/*/*/*/*.json")) {
		f.Add(must(os.ReadFile(path)))
	}
	f.Add(must(os.ReadFile("testdata/host/var/lib/docker/containers/" + idA + "/config.v2.json")))
	f.Add(must(os.ReadFile("testdata/host/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/" + idA + "/config.json")))
	f.Add([]byte(`{"annotations":{"nertdctl/name":"\u0000"},"linux":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(c container) {
			m := merge(nil, c)
			w := build(1, "/docker/"+idA, parsePath("/docker/"+idA), m, false)
			if len(w.Labels) > maxLabels || len(w.Name) > maxName || len(w.Addrs) > maxAddrs || w.Name == "" || w.PID > maxPID {
				t.Fatalf("out of bounds: %+v", w)
			}
		}
		if c, err := parseDockerConfig(b); err == nil {
			check(c)
		}
		if c, err := parseBundle(b); err == nil {
			check(c)
		}
		if c, ok := parseStorageIndex(b, idA); ok {
			check(c)
		}
		for _, a := range append(parseFibTrie(b), parseIfInet6(b)...) {
			if !a.IsValid() {
				t.Fatal("an address that is none")
			}
		}
	})
}

func TestNetnsAddrs(t *testing.T) {
	proc := t.TempDir()
	link := func(pid, ns string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(proc, pid, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(ns, filepath.Join(proc, pid, "ns/net")); err != nil {
			t.Fatal(err)
		}
	}
	link("self", "net:[1]")
	link("7", "net:[2]")
	link("8", "net:[1]")
	if err := os.CopyFS(filepath.Join(proc, "7/net"), os.DirFS("testdata/proc/net")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(proc, "8/net"), os.DirFS("testdata/proc/net")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range netnsAddrs(proc, 7) {
		got = append(got, a.String())
	}
	if want := []string{"10.1.2.3", "172.17.0.2", "fd00::2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("addresses = %v, want %v", got, want)
	}
	if got := netnsAddrs(proc, 8); got != nil {
		t.Errorf("a process in the host's namespace has %v of its own", got)
	}
	if got := netnsAddrs(proc, 9); got != nil {
		t.Errorf("no process has %v", got)
	}
}

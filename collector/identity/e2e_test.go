package identity

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// needDocker skips where there is no Docker to talk to, and fails instead where
// the privileged tests are demanded.
func needDocker(t *testing.T) {
	t.Helper()
	missing := t.Skipf
	switch os.Getenv("WEIR_TEST_PRIVILEGED") {
	case "1":
		missing = t.Fatalf
	case "0":
		t.Skip("WEIR_TEST_PRIVILEGED=0")
	}
	if os.Geteuid() != 0 {
		missing("needs root")
	}
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		missing("needs a running Docker: %v: %s", err, out)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

const e2eImage = "weir-identity-test"

// buildImage makes an image of one static program that listens on port 80.
func buildImage(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	src := `package main
import ("net"; "io")
func main() {
	l, err := net.Listen("tcp", ":80")
	if err != nil { panic(err) }
	for { c, err := l.Accept(); if err != nil { return }; go func() { io.Copy(c, c); c.Close() }() }
}`
	for name, content := range map[string]string{
		"main.go":    src,
		"go.mod":     "module x\n\ngo 1.26\n",
		"Dockerfile": "FROM scratch\nCOPY server /server\nENTRYPOINT [\"/server\"]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "server", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	run(t, "docker", "build", "-q", "-t", e2eImage, dir)
	t.Cleanup(func() { exec.Command("docker", "rmi", "-f", e2eImage).Run() })
}

// announceCgroups stands in for the kernel's cgroup events: it tells the
// Resolver of new cgroups with a hex id within some milliseconds.
func announceCgroups(ctx context.Context, r *Resolver, born func(id uint64, path string)) {
	seen := map[uint64]bool{}
	for ctx.Err() == nil {
		r.tree.walk(func(id uint64, path string) {
			if !seen[id] && strings.Contains(path, "docker") {
				seen[id] = true
				r.Observe(&flow.Event{Kind: flow.KindCgroupCreated, Cgroup: &flow.Cgroup{ID: id, Path: path}})
				born(id, path)
			}
		})
		sleep(ctx, 2*time.Millisecond)
	}
}

func TestDockerEndToEnd(t *testing.T) {
	needDocker(t)
	buildImage(t)
	for _, mode := range []string{"api", "files"} {
		t.Run(mode, func(t *testing.T) { dockerEndToEnd(t, mode) })
	}
}

func dockerEndToEnd(t *testing.T, mode string) {
	cfg := Config{Podman: []string{}, CRI: []string{}, Containerd: []string{}}
	if mode == "files" {
		cfg.Docker = []string{}
	}
	r := New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- r.Run(ctx) }()
	born := make(chan uint64, 64)
	name := fmt.Sprintf("weir-identity-%s-%d", mode, os.Getpid())
	var id string
	go func() {
		announceCgroups(ctx, r, func(id uint64, path string) {
			select {
			case born <- id:
			default:
			}
		})
		done <- nil
	}()
	defer func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}()
	if mode == "api" {
		eventually(t, 10*time.Second, "Docker connected", func() bool {
			return slices.ContainsFunc(r.Status(), func(s RuntimeStatus) bool { return s.Name == "docker" && s.Connected })
		})
	}

	defer func() { exec.Command("docker", "rm", "-f", name).Run() }()
	id = run(t, "docker", "run", "-d", "--name", name, "-p", "0:80",
		"-l", "com.docker.compose.project=shop", "-l", "com.docker.compose.service=web", e2eImage)
	var w *flow.Workload
	start := time.Now()
	eventually(t, time.Second, "the container named", func() bool {
		for {
			select {
			case cg := <-born:
				if got := r.Workload(cg); got.Container == id {
					w = got
				}
				continue
			default:
			}
			break
		}
		if w != nil {
			w = r.Workload(w.CgroupID)
		}
		return w != nil && w.Name == name && !w.Pending
	})
	t.Logf("named %v after docker run returned", time.Since(start))
	if w.Namespace != "shop" || w.Owner != (flow.Owner{Kind: "ComposeService", Name: "web"}) || w.Runtime != flow.RuntimeDocker || w.Image != e2eImage {
		t.Errorf("workload = %+v", w)
	}
	if v, _ := w.Label("com.docker.compose.service"); v != "web" {
		t.Errorf("labels = %v", w.Labels)
	}
	ip := netip.MustParseAddr(run(t, "docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name))
	eventually(t, 20*time.Second, "the container's address", func() bool {
		got := r.ByAddr(ip)
		return got != nil && got.Container == id
	})
	if mode == "files" {
		return
	}
	testProxyAndNAT(t, r, name, ip)

	// a restart gives a new cgroup to the same container
	old := w.CgroupID
	run(t, "docker", "restart", "-t", "0", name)
	eventually(t, time.Second, "the restarted container", func() bool {
		got := r.ByAddr(ip)
		return got != nil && got.Container == id && got.CgroupID != old
	})
	if got := r.Workload(old); got.Name != name {
		t.Errorf("the dead cgroup is %v, want it remembered as %s", got, name)
	}
}

func testProxyAndNAT(t *testing.T, r *Resolver, name string, ip netip.Addr) {
	t.Helper()
	_, port, _ := net.SplitHostPort(strings.Split(run(t, "docker", "port", name, "80/tcp"), "\n")[0])
	want := netip.AddrPortFrom(ip, 80)
	found := false
	for _, dir := range must(filepath.Glob("/proc/[0-9]*")) {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if target, ok := r.Proxied(uint32(pid)); ok && target == want {
			found = true
		}
	}
	if !found {
		t.Errorf("no docker-proxy process forwards to %v", want)
	}
	if _, ok := r.Proxied(uint32(os.Getpid())); ok {
		t.Error("this test passes for a docker-proxy")
	}

	i := slices.IndexFunc(r.Status(), func(s RuntimeStatus) bool { return s.Name == "conntrack" })
	if i < 0 || !r.Status()[i].Connected {
		t.Fatalf("conntrack is not connected: %+v", r.Status())
	}
	gateway := run(t, "docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", name)
	// not over loopback, which goes to docker-proxy instead
	c, err := net.Dial("tcp", net.JoinHostPort(gateway, port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client, server := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
	eventually(t, time.Second, "the translation of a published port", func() bool {
		real, ok := r.Translated(flow.TCP, client, server)
		return ok && real == want
	})
	if host := r.ByAddr(netip.MustParseAddr(gateway)); host == nil || host.Runtime != flow.RuntimeHost {
		t.Errorf("the bridge's address belongs to %v, want the host", host)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// eventually waits for something that other processes bring about.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

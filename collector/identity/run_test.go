package identity

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// The aggregator's need is what the Resolver is for.
var _ aggregate.Identity = (*Resolver)(nil)

// start runs a Resolver until the test ends.
func start(t *testing.T, cfg Config) *Resolver {
	t.Helper()
	r := New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v, want nil at the end of its context", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end with its context")
		}
	})
	return r
}

// nobody asks no runtime.
func nobody(cfg Config) Config {
	for _, s := range []*[]string{&cfg.Docker, &cfg.Podman, &cfg.CRI, &cfg.Containerd} {
		if *s == nil {
			*s = []string{}
		}
	}
	return cfg
}

func statusOf(r *Resolver, name string) RuntimeStatus {
	all := r.Status()
	if i := slices.IndexFunc(all, func(s RuntimeStatus) bool { return s.Name == name }); i >= 0 {
		return all[i]
	}
	return RuntimeStatus{}
}

func TestRunLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("run", func(t *testing.T) {
		r := start(t, Config{HostRoot: t.TempDir(), CgroupRoot: t.TempDir()}) // no runtime's socket exists
		eventually(t, 5*time.Second, "a first walk", func() bool { return statusOf(r, "cgroup").Connected })
		eventually(t, 5*time.Second, "every absent runtime", func() bool {
			return len(slices.DeleteFunc(r.Status(), func(s RuntimeStatus) bool { return s.Socket == "" || s.Present || s.Error != "" })) == 8
		})
		r.Workload(1 << 50) // a look-up is under way when it ends
	})
}

func TestRunWithoutCgroup2(t *testing.T) {
	proc := t.TempDir()
	if err := os.MkdirAll(filepath.Join(proc, "self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, "self/mountinfo"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := start(t, nobody(Config{ProcRoot: proc}))
	if s := statusOf(r, "cgroup"); s.Connected || !strings.Contains(s.Error, "mount one with") {
		t.Errorf("status = %+v, want what to do", s)
	}
	if w := r.Workload(7); w.Pending {
		t.Errorf("a cgroup that cannot be looked up is pending: %+v", w)
	}
}

func TestSourceSurvivesRestarts(t *testing.T) {
	f := &fakeDocker{events: make(chan string)}
	l, socket := listenUnix(t)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	srv.Start()
	r := start(t, nobody(Config{CgroupRoot: t.TempDir(), Docker: []string{socket}}))
	// the walk finds that this cgroup is none: it has to be over
	eventually(t, 5*time.Second, "the first walk", func() bool { return statusOf(r, "cgroup").Connected })
	eventually(t, 5*time.Second, "the connection", func() bool { return statusOf(r, "docker").Connected })
	r.Observe(cgroupCreated(10, "/docker/"+idA))
	eventually(t, 5*time.Second, "the container's name", func() bool { return r.Workload(10).Name == "web" })
	if s := statusOf(r, "docker"); !s.Connected || !s.Present || s.Socket != socket {
		t.Errorf("status = %+v", s)
	}
	srv.CloseClientConnections() // a restart that keeps the socket
	close(f.events)
	eventually(t, 5*time.Second, "the loss in the status", func() bool { return !statusOf(r, "docker").Connected })
	srv.Close()
	os.Remove(socket)
	if w := r.Workload(10); w.Name != "web" {
		t.Errorf("without the runtime: %+v", w)
	}
}

// TestPlainCgroupAddresses has a process in a cgroup and a network namespace of
// its own, with no runtime at all.
func TestPlainCgroupAddresses(t *testing.T) {
	tree, path := realTree(t)
	dir, err := os.Open(filepath.Join(tree.root, path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := start(t, nobody(Config{CgroupRoot: tree.root, HostRoot: t.TempDir()}))
	id := must(tree.id(path))
	r.Observe(cgroupCreated(id, path))

	sh := exec.Command("sh", "-c", "ip link set lo up && ip addr add 10.99.9.9/32 dev lo && echo ready && exec sleep 60")
	sh.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	out := must(sh.StdoutPipe())
	if err := sh.Start(); err != nil {
		if os.Getenv("WEIR_TEST_PRIVILEGED") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs leave to make a network namespace:", err)
	}
	end := sync.OnceFunc(func() { sh.Process.Kill(); sh.Wait(); time.Sleep(10 * time.Millisecond) })
	defer end()
	if n, _ := out.Read(make([]byte, 16)); n == 0 {
		t.Skip("needs the program ip")
	}
	r.kick() // as the next new cgroup would
	eventually(t, 5*time.Second, "the address", func() bool { w := r.ByAddr(addr("10.99.9.9")); return w != nil && w.CgroupID == id })
	if w := r.Workload(id); w.Runtime != flow.RuntimeCgroup || len(w.Addrs) != 1 {
		t.Errorf("workload = %+v", w)
	}
	end()
	r.kick()
	eventually(t, 5*time.Second, "the address given up", func() bool { return r.ByAddr(addr("10.99.9.9")) == nil && len(r.Workload(id).Addrs) == 0 })
}

func TestLookupsAreBounded(t *testing.T) {
	var l lookups
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	l.spawn("early", func(context.Context) { t.Error("ran before the start") })
	l.start(ctx, &wg)
	for i := range maxLookups + 7 {
		l.spawn(fmt.Sprint(i), func(ctx context.Context) { <-ctx.Done() })
		l.spawn(fmt.Sprint(i%maxLookups), func(context.Context) { t.Error("the same thing is looked up twice") })
	}
	if n := l.refused.Load(); n != 7 {
		t.Errorf("%d refused, want 7", n)
	}
	cancel()
	wg.Wait()
	l.stop()
	l.spawn("late", func(context.Context) { t.Error("ran after the end") })
	wg.Wait()
}

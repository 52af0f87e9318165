package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/bpf/lab"
)

// house is a place for daemons of this process, one after the other.
type house struct {
	t     *testing.T
	dir   string
	flags []string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	pins := fmt.Sprintf("/sys/fs/bpf/weir-test-blind-%d", os.Getpid())
	t.Cleanup(func() { os.RemoveAll(pins) })
	h.flags = []string{"--state-dir", filepath.Join(h.dir, "state"), "--bpf-fs", pins}
	return h
}

// weir runs a command as the program does, with an opener of the kernel's side.
func (h *house) weir(ctx context.Context, open func(bpf.Config) (*bpf.Capture, error), args ...string) (status int, text string) {
	var out locked
	a := &app{out: &out, err: &out, openKernel: open, lookup: func(string) (string, bool) { return "", false }}
	status = a.execute(ctx, append(args, "--socket", filepath.Join(h.dir, "weir.sock")))
	return status, out.String()
}

// run starts a daemon; what it gives ends it, and gives its exit status and words.
func (h *house) run(open func(bpf.Config) (*bpf.Capture, error)) (stop func() (int, string)) {
	ctx, cancel := context.WithCancel(context.Background())
	type end struct {
		status int
		text   string
	}
	ended := make(chan end, 1)
	go func() {
		status, text := h.weir(ctx, open, append([]string{"run", "--hubble-listen=", "--metrics-listen=", "--history", "0"}, h.flags...)...)
		ended <- end{status, text}
	}()
	return sync.OnceValues(func() (int, string) {
		cancel()
		e := <-ended
		return e.status, e.text
	})
}

// says asks until a command says what is awaited.
func (h *house) says(status int, want string, args ...string) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		got, text := h.weir(h.t.Context(), nil, args...)
		if got == status && strings.Contains(text, want) {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("weir %v: %d, %q, want %d with %q", args, got, text, status, want)
		}
	}
}

// locked is a buffer for several goroutines.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func noKernel(bpf.Config) (*bpf.Capture, error) {
	return nil, errors.New("this kernel is too old for flows")
}

// forbidden is an address that nobody has: RFC 5737.
const forbidden = "198.51.100.77"

const guard = `apiVersion: weir.dev/v1alpha1
kind: Guard
metadata: {name: nobody}
spec:
  toCIDR: [` + forbidden + `/32]
  allowedFrom: [{matchLabels: {app: nobody-at-all}}]
`

// refused tells whether the kernel refuses to speak to the guarded address. Nothing
// is sent there.
func refused() bool {
	c, err := net.Dial("udp4", forbidden+":9")
	if err == nil {
		c.Close()
	}
	return errors.Is(err, unix.EPERM)
}

func TestPoliciesHoldWithoutCapture(t *testing.T) {
	lab.RequireRoot(t)
	h := newHouse(t)
	if status, text := h.run(noKernel)(); status != 1 || !strings.Contains(text, "weir: capture: this kernel is too old for flows") {
		t.Fatalf("without policies: %d, %q", status, text)
	}
	file := filepath.Join(h.dir, "guard.yaml")
	if err := os.WriteFile(file, []byte(guard), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := h.run(bpf.Open)
	defer func() { stop() }()
	h.says(0, "ready", "status", "--wait", "20s")
	h.says(0, "", "policy", "audit", file)
	h.says(0, "", "policy", "enforce", "nobody", "--yes", "--force")
	if !refused() {
		t.Fatal("the policy is not enforced")
	}
	if status, text := stop(); status != 0 {
		t.Fatalf("the daemon ended with %d: %s", status, text)
	}

	// As after a boot: nothing is in the kernel, and capture cannot start.
	if err := os.RemoveAll(h.flags[3]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); refused(); time.Sleep(50 * time.Millisecond) { // the kernel takes its time
		if time.Now().After(deadline) {
			t.Fatal("the policy outlives its pins")
		}
	}
	var works atomic.Bool
	stop = h.run(func(c bpf.Config) (*bpf.Capture, error) {
		if works.Load() {
			return bpf.Open(c)
		}
		return noKernel(c)
	})
	h.says(1, "not ready: capture: this kernel is too old for flows", "status")
	h.says(0, "1 denied", "policy", "status") // counted by the daemon before
	if !refused() {
		t.Error("the policy is not enforced without capture")
	}
	h.says(0, "2 denied", "policy", "status")
	works.Store(true)
	h.says(0, "ready", "status")
	if !refused() {
		t.Error("the policy is not enforced once capture works")
	}
	if status, text := stop(); status != 0 || !strings.Contains(text, "policies are held all the same") || !strings.Contains(text, "now that it works") {
		t.Errorf("the daemon ended with %d: %s", status, text)
	}
	if !refused() {
		t.Error("enforcement ended with the daemon")
	}

	// A damaged account of them leaves in force what is pinned.
	if err := os.WriteFile(filepath.Join(h.dir, "state", "policies", "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop = h.run(bpf.Open)
	h.says(0, "set aside as", "status")
	h.says(0, "set aside as", "policy", "status")
	if !refused() {
		t.Error("the policy is not enforced where its account is damaged")
	}
	h.says(0, "", "policy", "off", "--yes")
	if refused() {
		t.Error("what is not kept cannot be taken out")
	}
	stop()
}

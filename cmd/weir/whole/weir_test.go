package whole

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/cmd/weir/control"
)

func TestMain(m *testing.M) {
	act()
	lab.Main(m)
}

// binary builds weir as a user gets it, once. Tests cannot remove what they share:
// the next run does.
var binary = sync.OnceValues(func() (string, error) {
	const prefix = "weir-whole-"
	older, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range older {
		if pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), prefix)); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
	dir := filepath.Join(os.TempDir(), prefix+strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "weir")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "github.com/seed79351815/weir/cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build weir: %w: %s", err, out)
	}
	return path, nil
})

// daemon is a running `weir run` with places of its own.
type daemon struct {
	cmd    *exec.Cmd
	socket string
	path   string
	serves string // its metrics: an address
	log    bytes.Buffer
	begun  time.Time
}

// start runs the daemon and waits until it is ready.
func start(b testing.TB, flags ...string) *daemon {
	b.Helper()
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	return startIn(b, path, b.TempDir(), flags...)
}

// again starts another daemon in the place of one that is gone.
func (d *daemon) again(b testing.TB, flags ...string) *daemon {
	b.Helper()
	return startIn(b, d.path, filepath.Dir(d.socket), flags...)
}

func startIn(b testing.TB, path, dir string, flags ...string) *daemon {
	b.Helper()
	d := launch(b, path, dir, flags...)
	out, err := exec.Command(path, "status", "--socket", d.socket, "--wait", "10s", "-o", "json").CombinedOutput()
	var status control.Status
	if err == nil {
		err = json.Unmarshal(out, &status)
	}
	if err != nil {
		b.Fatalf("weir did not become ready: %v: %s: %s", err, out, d.log.String())
	}
	d.serves = status.Listen.Metrics
	return d
}

// launch starts a daemon and waits for nothing.
func launch(b testing.TB, path, dir string, flags ...string) *daemon {
	b.Helper()
	d := &daemon{path: path, socket: filepath.Join(dir, "weir.sock"), begun: time.Now()}
	args := append([]string{"run", "--state-dir", filepath.Join(dir, "state"), "--socket", d.socket,
		"--hubble-listen", "unix://" + filepath.Join(dir, "hubble.sock"), "--metrics-listen", "127.0.0.1:0"}, flags...)
	d.cmd = exec.Command(path, args...)
	d.cmd.Stderr = &d.log
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.kill)
	return d
}

func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

// stop ends the daemon in good order and gives the share of one processor that
// it took.
func (d *daemon) stop(b testing.TB) (cores float64) {
	b.Helper()
	lived := time.Since(d.begun)
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	defer time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() }).Stop()
	if err := d.cmd.Wait(); err != nil {
		b.Fatalf("weir ended badly: %v: %s", err, d.log.String())
	}
	return (d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime()).Seconds() / lived.Seconds()
}

// memory reads a field of /proc/PID/status, in MiB.
func memory(b testing.TB, pid int, field string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatalf("no %s in /proc/%d/status", field, pid)
	return 0
}

package whole

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/enforce"
)

// ruled is a daemon with pins of its own, and weir's commands for it.
type ruled struct {
	*daemon
	t     testing.TB
	flags []string
}

// startRuled starts a daemon that may enforce. What it leaves in the kernel goes
// when the test ends.
func startRuled(t testing.TB, flags ...string) *ruled {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, pins := t.TempDir(), fmt.Sprintf("/sys/fs/bpf/weir-whole-%d", os.Getpid())
	r := &ruled{t: t, flags: append([]string{"--bpf-fs", pins}, flags...)}
	t.Cleanup(func() {
		out, err := exec.Command(path, "uninstall", "--yes", "--socket", filepath.Join(dir, "weir.sock"),
			"--state-dir", filepath.Join(dir, "state"), "--bpf-fs", pins).CombinedOutput()
		if err != nil {
			t.Errorf("uninstall: %v: %s", err, out)
		}
	})
	r.daemon = startIn(t, path, dir, r.flags...)
	return r
}

// again starts another daemon in the place of one that is gone.
func (r *ruled) again() { r.daemon = r.daemon.again(r.t, r.flags...) }

// stillborn starts a daemon that is killed after a time, whatever it is at.
func (r *ruled) stillborn(after time.Duration) {
	r.t.Helper()
	d := launch(r.t, r.path, filepath.Dir(r.socket), r.flags...)
	time.Sleep(after)
	d.kill()
}

// pins is where the daemon pins what it enforces.
func (r *ruled) pins() string { return filepath.Join(r.flags[1], "enforce") }

// give has the daemon take policies in, and enforce them.
func (r *ruled) give(policies map[string]string) {
	r.t.Helper()
	for name, text := range policies {
		file := filepath.Join(r.t.TempDir(), name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
		r.must("policy", "audit", file)
		r.must("policy", "enforce", name, "--yes", "--force")
	}
}

// weir runs a command for this daemon.
func (r *ruled) weir(args ...string) (string, error) {
	return hostRun(append(append([]string{r.path}, args...), "--socket", r.socket)...)
}

func (r *ruled) must(args ...string) string {
	r.t.Helper()
	out, err := r.weir(args...)
	if err != nil {
		r.t.Fatalf("weir %s: %v: %s%s", strings.Join(args, " "), err, out, r.log.String())
	}
	return out
}

// policies is what policy status tells.
func (r *ruled) policies() (s enforce.Status) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.must("policy", "status", "-o", "json")), &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// seen waits until the only policy was told of something by everyone of those.
func (r *ruled) seen(denied bool, workloads ...string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		missing := map[string]bool{}
		for _, w := range workloads {
			missing[w] = true
		}
		for _, one := range r.policies().Policies[0].Tallies {
			if one.Denied == denied {
				delete(missing, one.Workload)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("nothing is told of %v: %+v", missing, r.policies())
		}
	}
}

package lab

import (
	"os"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Privileged is an environment variable. "1" turns the skips of this package
// into failures, "bare" all but those for want of a program: it is for a kernel with
// nothing beside it. "0" skips privileged tests also where they could run.
const Privileged = "WEIR_TEST_PRIVILEGED"

// RequireRoot skips the test where it may not load BPF or make namespaces.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Getenv(Privileged) == "0" {
		t.Skip(Privileged + "=0 leaves privileged tests out")
	}
	if os.Geteuid() != 0 {
		missing(t, "needs root; run it as root or with sudo")
	}
	// Kernels before 5.11 count maps against RLIMIT_MEMLOCK; a failure shows in
	// the next line.
	_ = rlimit.RemoveMemlock()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		missing(t, "needs CAP_BPF: %v", err)
	}
	_ = m.Close()
}

// RequireTool skips the test where a program that it runs is not installed,
// and returns the program's path.
func RequireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv(Privileged) == "bare" {
		t.Skipf("needs the program %s, and there are none here", name)
	}
	if err != nil {
		missing(t, "needs the program %s", name)
	}
	return path
}

// missing ends the test: as skipped, or as failed where skipping is forbidden.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if env := os.Getenv(Privileged); env == "1" || env == "bare" {
		t.Fatalf(format+" ("+Privileged+"="+env+" forbids skipping)", args...)
	}
	t.Skipf(format, args...)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector/identity"
)

func states(checks []check) string {
	var s []string
	for _, c := range checks {
		s = append(s, c.Name+"="+string(c.State))
	}
	return strings.Join(s, " ")
}

func TestProgramChecks(t *testing.T) {
	denied := fmt.Errorf("load: %w", bpf.ErrPermission)
	old := fmt.Errorf("load: %w", bpf.ErrKernelTooOld)
	for _, tc := range []struct {
		name     string
		features []bpf.Feature
		daemon   bool
		want     string
	}{
		{"all there", []bpf.Feature{{Name: "a", Available: true, Required: true}}, false, "a=ok"},
		{"optional missing", []bpf.Feature{{Name: "a", Err: old}}, false, "a=warn"},
		{"required missing", []bpf.Feature{{Name: "a", Err: old, Required: true}}, false, "a=fault"},
		{"required missing, a daemon says otherwise", []bpf.Feature{{Name: "a", Err: old, Required: true}}, true, "a=fault"},
		{"no privileges: one finding", []bpf.Feature{{Name: "BTF", Available: true}, {Name: "a", Err: denied, Required: true}, {Name: "b", Err: denied}}, false, "BTF=ok all=fault"},
		{"a program that root is refused", []bpf.Feature{{Name: "a", Available: true, Required: true}, {Name: "b", Err: denied}}, false, "a=ok b=warn"},
		{"no privileges, but a daemon", []bpf.Feature{{Name: "a", Err: denied, Required: true}}, true, "all=note"},
	} {
		if got := states(programChecks(tc.features, tc.daemon)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestRuntimeChecks(t *testing.T) {
	got := states(runtimeChecks([]identity.RuntimeStatus{
		{Name: "docker", Present: true, Connected: true}, {Name: "cri", Present: true, Error: "denied"},
		{Name: "conntrack", Error: "denied"}, {Name: "podman"},
	}))
	if got != "docker=ok cri=warn conntrack=warn podman=note" {
		t.Errorf("got %s", got)
	}
}

func TestDaemonChecks(t *testing.T) {
	balanced := &control.Status{Ready: true, Kernel: control.Kernel{CPUs: []control.CPU{{Produced: 5, Delivered: 3, Lost: 2}}}}
	gone := &control.Status{Ready: true, Kernel: control.Kernel{CPUs: []control.CPU{{Produced: 5, Delivered: 3}}}}
	lossy := &control.Status{Ready: true, Lost: []control.Loss{{Stage: "kernel", Reason: "ring_full", Count: 3}}}
	late := &control.Status{Ready: true, Policies: control.Policies{Late: []string{"web: macvlan eth0"}}}
	for _, tc := range []struct {
		s    *control.Status
		err  error
		want string
	}{
		{nil, errNoDaemon, "control socket=note"},
		{nil, os.ErrPermission, "control socket=warn"},
		{balanced, nil, "control socket=ok account of events=ok losses=ok"},
		{gone, nil, "control socket=ok account of events=fault losses=ok"},
		{lossy, nil, "control socket=ok account of events=ok losses=warn"},
		{&control.Status{}, nil, "control socket=fault account of events=ok losses=ok"},
		{late, nil, "control socket=ok account of events=ok losses=ok devices that come late=warn"},
	} {
		if got := states(daemonChecks(tc.s, tc.err)); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

func TestCgroupCheck(t *testing.T) {
	if c := cgroupCheck("", errors.New("none")); c.State != stateFault || c.Remedy == "" {
		t.Errorf("got %+v", c)
	}
	if c := cgroupCheck("/sys/fs/cgroup/unified", nil); c.State != stateOK || !strings.Contains(c.Detail, "hybrid") {
		t.Errorf("got %+v", c)
	}
}

func TestPrintDiagnosis(t *testing.T) {
	a, out, _ := testApp(map[string]string{"TERM": "xterm"})
	a.outTTY = true
	d := &diagnosis{Checks: []check{
		{Section: "kernel", Name: "release", State: stateOK, Detail: "6.1"},
		{Section: "programs", Name: "drop", State: stateWarn, Detail: "old\x1b]0;x\a", Without: "no drops", Remedy: "newer"},
	}, OK: true}
	if err := a.printDiagnosis(d); err != nil {
		t.Fatal(err)
	}
	want := `kernel
  ` + "\x1b[32mok   \x1b[0m" + ` release            6.1

programs
  ` + "\x1b[33mwarn \x1b[0m" + ` drop               old\x1b]0;x\x07
        without it: no drops
        what to do: newer

weir works here, with 1 warning.
`
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out, want)
	}
	a, out, _ = testApp(map[string]string{"TERM": "xterm", "NO_COLOR": "1"})
	a.outTTY = true
	d.OK = false
	d.Checks[1].State = stateFault
	if err := a.printDiagnosis(d); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, "\x1b") || !strings.Contains(s, "FAULT drop") || !strings.HasSuffix(s, "cannot do its work here: 1 fault, 0 warnings.\n") {
		t.Errorf("got %q", s)
	}
}

package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector/identity"
)

// kernelChecks are what can be read without privileges.
func kernelChecks() []check {
	var u unix.Utsname
	detail := "unknown"
	if err := unix.Uname(&u); err == nil {
		detail = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	checks := []check{{Section: "kernel", Name: "release", State: stateOK, Detail: detail}}
	missing, err := bpf.MissingCapabilities()
	c := check{Section: "kernel", Name: "capabilities", State: stateOK, Detail: "all that weir uses"}
	switch {
	case err != nil:
		c.State, c.Detail = stateNote, err.Error()
	case len(missing) > 0:
		c.State, c.Detail = stateWarn, "this process lacks "+strings.Join(missing, ", ")
		c.Without = "what needs them"
		c.Remedy = "run weir doctor with sudo to see what weir itself would have"
	}
	return append(checks, c)
}

func cgroupCheck(root string, err error) check {
	c := check{Section: "kernel", Name: "cgroup layout", State: stateOK}
	switch {
	case err != nil:
		c.State, c.Detail, c.Without = stateFault, err.Error(), "containers are not told apart"
		c.Remedy = "mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified`, or name it with --cgroup-root"
	case root == "/sys/fs/cgroup":
		c.Detail = "cgroup v2 at " + root
	default:
		c.Detail = "hybrid or moved: cgroup v2 at " + root
	}
	return c
}

// programChecks tells of everything that weir asks of the kernel. Where it was
// refused what weir cannot do without, one finding stands for all that was refused.
// A daemon that runs has shown that it can be had: then a lack of privileges here
// costs nothing.
func programChecks(features []bpf.Feature, daemonReady bool) []check {
	var checks []check
	refused := denial(features)
	for _, f := range features {
		if refused == nil || f.Available || !errors.Is(f.Err, bpf.ErrPermission) {
			checks = append(checks, featureCheck(f))
		}
	}
	if refused == nil {
		return checks
	}
	c := check{Section: "programs", Name: "all", State: stateFault, Detail: refused.Error(),
		Without: "no capture", Remedy: "run it with sudo, or give it the capabilities"}
	if daemonReady {
		c.State, c.Without = stateNote, ""
		c.Detail = "not tried, for want of privileges; the daemon has them loaded"
		c.Remedy = ""
	}
	return append(checks, c)
}

// denial is why the kernel refused something required; nil where it did not.
func denial(features []bpf.Feature) error {
	for _, f := range features {
		if f.Required && errors.Is(f.Err, bpf.ErrPermission) {
			return f.Err
		}
	}
	return nil
}

func featureCheck(f bpf.Feature) check {
	c := check{Section: "programs", Name: f.Name, State: stateOK, Detail: f.Hook + ": " + f.Purpose}
	if f.Available {
		return c
	}
	c.State, c.Without = stateWarn, f.Without
	if f.Required {
		c.State = stateFault
	}
	if f.Err != nil {
		c.Detail = f.Err.Error()
	}
	return c
}

func runtimeChecks(statuses []identity.RuntimeStatus) []check {
	var checks []check
	for _, s := range statuses {
		c := check{Section: "identity", Name: s.Name, State: stateOK, Detail: s.Socket}
		switch {
		case s.Connected:
			c.Detail = strings.TrimSpace(s.Socket + " connected")
		case s.Present || s.Error != "":
			c.State, c.Detail = stateWarn, strings.TrimSpace(s.Socket+" "+s.Error)
			c.Without = identityLoss(s.Name)
		default:
			c.State, c.Detail = stateNote, strings.TrimSpace(s.Socket+" is not there")
		}
		checks = append(checks, c)
	}
	return checks
}

func identityLoss(name string) string {
	switch name {
	case "cgroup":
		return "containers are not told apart"
	case "conntrack":
		return "published ports and masqueraded flows show the translated address"
	}
	return "its containers have names only as far as files and /proc tell"
}

func daemonChecks(s *control.Status, err error) []check {
	c := check{Section: "daemon", Name: "control socket", State: stateOK}
	switch {
	case errors.Is(err, errNoDaemon):
		c.State, c.Detail = stateNote, "no daemon runs: top and observe capture by themselves"
		return []check{c}
	case err != nil:
		c.State, c.Detail, c.Without = stateWarn, err.Error(), "top and observe cannot use the daemon"
		return []check{c}
	case !s.Ready:
		c.State, c.Detail = stateFault, "not ready: "+s.Reason
	default:
		c.Detail = fmt.Sprintf("process %d answers at %s", s.PID, s.Listen.Socket)
	}
	return append(append([]check{c}, accountChecks(s)...), lateChecks(s)...)
}

// lateChecks tell of devices by which a workload can send what no rule judges, until
// they have their program.
func lateChecks(s *control.Status) []check {
	const most = 5
	late := s.Policies.Late
	if len(late) == 0 {
		return nil
	}
	shown, more := late[:min(len(late), most)], ""
	if n := len(late) - len(shown); n > 0 {
		more = fmt.Sprintf(", and %d more", n)
	}
	return []check{{Section: "daemon", Name: "devices that come late", State: stateWarn,
		Detail:  strings.Join(shown, "; ") + more,
		Without: "rules for frames of packet sockets, from when such a device comes until it has its program, a second at most",
		Remedy:  "drop CAP_NET_RAW of these workloads, or give them a bridge network"}}
}

// accountChecks reconcile what the kernel produced with what became of it.
func accountChecks(s *control.Status) []check {
	account := check{Section: "daemon", Name: "account of events", State: stateOK, Detail: kernelLine(s.Kernel)}
	if !s.Kernel.Balanced() {
		account.State, account.Without = stateFault, "events are gone that nobody counted"
		account.Remedy = "please report it, with the output of `weir status -o json`"
	}
	lost := check{Section: "daemon", Name: "losses", State: stateOK, Detail: lostLine(s.Lost)}
	if len(s.Lost) > 0 {
		lost.State, lost.Without = stateWarn, "these observations; they are counted"
		lost.Remedy = "kernel/ring_full: a larger --kernel-buffer; table_full: a larger --max-flows"
	}
	return []check{account, lost}
}

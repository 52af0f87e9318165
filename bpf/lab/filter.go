package lab

import (
	"fmt"
	"strconv"
)

// Filter adds a rule to a host's packet filter, for IPv4 and IPv6, and returns
// what removes it; the rule is gone with the host at the latest. The arguments
// are those of iptables after -A: "INPUT", "-p", "tcp", …, "-j", "DROP".
func (h *Host) Filter(rule ...string) (remove func()) {
	t := h.lab.t
	t.Helper()
	tools := []string{RequireTool(t, "iptables"), RequireTool(t, "ip6tables")}
	do := func(action string) error {
		for _, tool := range tools {
			args := append([]string{"-w", "5", action}, rule...)
			if _, err := h.Command(tool, args...).Output(); err != nil {
				return fmt.Errorf("filter on %s: %w", h.Name, err)
			}
		}
		return nil
	}
	if err := do("-A"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := do("-D"); err != nil {
			t.Error(err)
		}
	}
}

// Loss drops a share of the packets that reach the host: 0.1 is one in ten. The
// choice is the kernel's, at random.
func (h *Host) Loss(share float64, match ...string) (remove func()) {
	h.lab.t.Helper()
	return h.Filter(append(append([]string{"INPUT"}, match...),
		"-m", "statistic", "--mode", "random",
		"--probability", strconv.FormatFloat(share, 'f', -1, 64), "-j", "DROP")...)
}

// LossEvery drops every nth packet that reaches the host and matches: the same
// in each run.
func (h *Host) LossEvery(n int, match ...string) (remove func()) {
	h.lab.t.Helper()
	return h.Filter(append(append([]string{"INPUT"}, match...),
		"-m", "statistic", "--mode", "nth", "--every", strconv.Itoa(n), "--packet", strconv.Itoa(n-1), "-j", "DROP")...)
}

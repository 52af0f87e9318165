package enforcer

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// express is what was found out about AF_XDP sockets.
type express struct {
	sockets map[uint64]int // by network namespace
	told    []string
}

// pastDevices tells of processes whose egress is enforced and that can send past
// the hooks of their devices, by AF_XDP sockets that are older than the rules:
// nobody can take these back. It looks for them when the number of such sockets
// has changed.
func (e *Enforcer) pastDevices(namespaces []*namespace) ([]string, error) {
	now := map[uint64]int{}
	for _, ns := range namespaces {
		if n := expressSockets(ns); n > 0 && ns.sends {
			now[ns.inode] = n
		}
	}
	if maps.Equal(now, e.devices.express.sockets) {
		return e.devices.express.told, nil
	}
	known := map[string]bool{}
	err := e.senders(func(id string) {
		text, err := os.ReadFile(filepath.Join("/proc", id, "maps"))
		if err != nil || !mapsExpress(string(text)) {
			return // it has ended, or has none
		}
		known[processOf(id)] = true
	})
	found := express{sockets: now}
	for process := range known {
		found.told = append(found.told, fmt.Sprintf("process %s sends by an AF_XDP socket that is older than its rules, past the devices of its network namespace: restart it", process))
	}
	slices.Sort(found.told)
	if err == nil {
		e.devices.express = found
	}
	return found.told, err
}

// expressSockets counts the AF_XDP sockets of a namespace: many kernels have no
// sock_diag of them, and all have this count.
func expressSockets(ns *namespace) int {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(ns.path)), "net/protocols"))
	if err != nil {
		return 0 // the task has ended
	}
	return parseProtocols(string(text))
}

// parseProtocols reads /proc/net/protocols: the third column of the line of XDP.
func parseProtocols(text string) int {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "XDP" {
			continue
		}
		if n, err := strconv.Atoi(fields[2]); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// txRing is where in an AF_XDP socket its ring for sending is: XDP_PGOFF_TX_RING
// of linux/if_xdp.h.
const txRing = "80000000"

// mapsExpress tells from /proc/PID/maps whether a process has such a ring.
func mapsExpress(text string) bool {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 6 && fields[2] == txRing && strings.HasPrefix(fields[5], "socket:[") {
			return true
		}
	}
	return false
}

// processOf is the process of a task, in digits.
func processOf(task string) string {
	text, err := os.ReadFile(filepath.Join("/proc", task, "status"))
	if err != nil {
		return task
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "Tgid:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return task
}

package identity

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxCmdline   = 4096
	proxyRecheck = time.Second // a pid that comes back within this time is taken for the same process
)

// proxyCache tells docker-proxy processes from others. A published port without
// NAT (from the host itself, or with userland-proxy alone) ends at such a
// process, which opens a connection of its own to the container. It is safe for
// concurrent use.
//
// Only docker-proxy names its target on its command line. rootlesskit and
// Podman's rootlessport are told over a pipe, so theirs stays unknown.
type proxyCache struct {
	proc string
	mu   sync.Mutex
	pids map[uint32]proxyEntry
}

type proxyEntry struct {
	start   string // of the process, so that a reused pid is noticed
	checked time.Time
	target  netip.AddrPort // the zero value for any other process
}

func newProxyCache(proc string) *proxyCache {
	return &proxyCache{proc: proc, pids: map[uint32]proxyEntry{}}
}

// target is the address that a docker-proxy forwards to.
func (c *proxyCache) target(pid uint32, now time.Time) (netip.AddrPort, bool) {
	if pid == 0 {
		return netip.AddrPort{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.pids[pid]
	if ok && now.Sub(e.checked) < proxyRecheck {
		return e.target, e.target.IsValid()
	}
	dir := filepath.Join(c.proc, strconv.FormatUint(uint64(pid), 10))
	start, alive := processStart(dir)
	switch {
	case !alive: // gone: what was known of it still holds for its late events
		return e.target, e.target.IsValid()
	case !ok || e.start != start:
		e = proxyEntry{start: start, target: readProxy(dir)}
		if len(c.pids) >= maxProxyPIDs {
			c.shrink()
		}
	}
	e.checked = now
	c.pids[pid] = e
	return e.target, e.target.IsValid()
}

// shrink drops what is no proxy, or all when nearly all are.
func (c *proxyCache) shrink() {
	for pid, e := range c.pids {
		if !e.target.IsValid() {
			delete(c.pids, pid)
		}
	}
	if len(c.pids) > maxProxyPIDs/2 {
		clear(c.pids)
	}
}

func readProxy(dir string) netip.AddrPort {
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil || filepath.Base(strings.TrimSuffix(exe, " (deleted)")) != "docker-proxy" {
		return netip.AddrPort{}
	}
	cmdline, err := readBounded(filepath.Join(dir, "cmdline"), maxCmdline)
	if err != nil {
		return netip.AddrPort{}
	}
	target, _ := parseProxyCmdline(cmdline)
	return target
}

// parseProxyCmdline reads -container-ip and -container-port from a docker-proxy's
// NUL-separated arguments.
func parseProxyCmdline(cmdline []byte) (netip.AddrPort, bool) {
	var ip, port string
	args := bytes.Split(cmdline, []byte{0})
	for i := 1; i < len(args); i++ {
		arg := string(args[i])
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !hasValue && i+1 < len(args) {
			value = string(args[i+1])
		}
		switch name {
		case "container-ip":
			ip = value
		case "container-port":
			port = value
		}
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.IsUnspecified() {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(n)), true
}

// processStart is a process's start time, field 22 of its stat.
func processStart(dir string) (string, bool) {
	stat, err := readBounded(filepath.Join(dir, "stat"), maxCmdline)
	if err != nil {
		return "", false
	}
	// the command name may hold spaces and parentheses: count from its end
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return "", false
	}
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 20 {
		return "", false
	}
	return string(fields[19]), true
}

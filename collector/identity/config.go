package identity

import (
	"log/slog"
	"os"
	"path/filepath"
)

// Config says where the Resolver looks. The zero value is good for a host.
type Config struct {
	CgroupRoot string // where cgroup v2 is mounted; empty: found in ProcRoot/self/mountinfo
	ProcRoot   string // default "/proc"
	HostRoot   string // where the host's root directory is seen; default "/"

	// Sockets of container runtimes. nil takes the well-known places below
	// HostRoot; an empty slice asks nobody. A socket that is not there is waited
	// for. Whoever owns a socket decides how containers are called: list none
	// that belongs to an unprivileged user.
	Docker     []string
	Podman     []string
	CRI        []string
	Containerd []string

	// Offline is for replay: nothing is asked or read, neither runtimes nor
	// /proc nor the kernel; only what Observe is told counts.
	Offline bool

	Logger *slog.Logger // default: nothing is logged
}

// The places where distributions put their sockets, below the host's root.
var (
	dockerSockets     = []string{"run/docker.sock"}
	podmanSockets     = []string{"run/podman/podman.sock"}
	criSockets        = []string{"run/containerd/containerd.sock", "run/k3s/containerd/containerd.sock", "run/crio/crio.sock", "run/cri-dockerd.sock"}
	containerdSockets = []string{"run/containerd/containerd.sock", "run/k3s/containerd/containerd.sock"}
)

func (c Config) withDefaults() Config {
	if c.ProcRoot == "" {
		c.ProcRoot = "/proc"
	}
	if c.HostRoot == "" {
		c.HostRoot = "/"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, s := range []struct {
		sockets  *[]string
		defaults []string
	}{{&c.Docker, dockerSockets}, {&c.Podman, podmanSockets}, {&c.CRI, criSockets}, {&c.Containerd, containerdSockets}} {
		if *s.sockets == nil {
			for _, d := range s.defaults {
				*s.sockets = append(*s.sockets, filepath.Join(c.HostRoot, d))
			}
		}
	}
	return c
}

// cgroupRoot is the configured mount point of cgroup v2, or the one that is found.
func (c Config) cgroupRoot() (string, error) {
	if c.CgroupRoot != "" {
		return filepath.Clean(c.CgroupRoot), nil
	}
	f, err := os.Open(filepath.Join(c.ProcRoot, "self/mountinfo"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	return FindCgroup2(f)
}

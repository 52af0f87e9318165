package identity

import (
	"context"
	"errors"
)

// runtime is the API of one container runtime at one socket. Its methods are
// called from several goroutines.
type runtime interface {
	// Watch subscribes to the runtime's events, lists what runs, calls
	// s.Connected, and then tells s what happens. It blocks until ctx ends
	// (nil) or the connection breaks.
	Watch(ctx context.Context, s sink) error
	// Lookup tells s about one container, at once; errNotFound when the
	// runtime does not know it.
	Lookup(ctx context.Context, id string, s sink) error
	// Close frees the connection.
	Close() error
}

// sink takes what a runtime tells.
type sink interface {
	Connected()
	Learn(c container)
}

// errNotFound says that a runtime does not have the container.
var errNotFound = errors.New("no such container")

// adapters are the runtimes that weir speaks with: one line each.
var adapters = []struct {
	name    string
	sockets func(*Config) *[]string
	open    func(socket string) (runtime, error)
}{
	{"docker", func(c *Config) *[]string { return &c.Docker }, openDocker},
	{"podman", func(c *Config) *[]string { return &c.Podman }, openPodman},
	{"cri", func(c *Config) *[]string { return &c.CRI }, openCRI},
	{"containerd", func(c *Config) *[]string { return &c.Containerd }, openContainerd},
}

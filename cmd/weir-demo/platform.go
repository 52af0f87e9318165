package main

import (
	"context"
	"net/netip"
)

// platform is where the shop's services run: Docker, or namespaces and cgroups
// that the demo makes itself.
type platform interface {
	name() string

	// clean removes everything that any run made on this platform. It is called
	// before a start, for what a killed run left, and at the end.
	clean(ctx context.Context) error

	// prepare makes image and network. hosts is what the shop's DNS server must
	// know beyond what the platform resolves itself: name=address, comma-separated.
	prepare(ctx context.Context, names []string) (hosts string, err error)

	// start starts one service and returns when its process exists.
	start(ctx context.Context, s service) (instance, error)

	// dead names the services of this run that no longer live, each with its last words.
	dead(ctx context.Context) (map[string]string, error)
}

// instance is a service that was started.
type instance struct {
	pid  int            // its first process, in the host's numbers
	addr netip.Addr     // on the shop's network
	host netip.AddrPort // where the host reaches what it publishes; invalid if nothing
}

// Package identity says who is behind a cgroup, an address, a process: it turns
// the numbers that the kernel gives into containers, pods, systemd units and
// names.
//
//	cgroup id ─→ path ─→ place (what the path tells) ─┐
//	runtimes (Docker, containerd, CRI, Podman), files ─→ container ─→ flow.Workload
//	DNS answers ─→ names of addresses
//	docker-proxy, conntrack ─→ the container behind a published port
//
// The Resolver is the package's face. It never makes its caller wait for a
// runtime: what is not known yet is a placeholder marked Pending, and Generation
// grows when something better is known.
//
// No runtime is needed. Without any socket the paths, the runtimes' files and
// /proc still give container ids, most names and addresses.
package identity

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// bareHost runs the services without any container runtime: each in a network
// namespace, a cgroup and a read-only view of the root file system of its own.
type bareHost struct {
	stateDir string
	self     string
	rootDir  string // set before start
	net      *bareNet

	mu   sync.Mutex
	done map[string]chan error // service → its end
}

func newBareHost(stateDir, self string) *bareHost {
	return &bareHost{stateDir: stateDir, self: self, done: map[string]chan error{}}
}

func (b *bareHost) name() string { return "namespaces and cgroups" }

func (b *bareHost) prepare(_ context.Context, names []string) (string, error) {
	n, err := newBareNet(names)
	if err != nil {
		return "", err
	}
	b.net = n
	var hosts []string
	for _, name := range names {
		hosts = append(hosts, name+"="+n.addr[name].String())
	}
	return strings.Join(hosts, ","), nil
}

func (b *bareHost) start(_ context.Context, s service) (instance, error) {
	ns, err := b.net.join(s.name)
	if err != nil {
		return instance{}, fmt.Errorf("network: %w", err)
	}
	defer ns.Close()
	group, err := makeCgroup(s.name)
	if err != nil {
		return instance{}, err
	}
	defer group.Close()
	log, err := os.Create(b.logFile(s.name))
	if err != nil {
		return instance{}, fmt.Errorf("log: %w", err)
	}
	defer log.Close()
	spec, err := json.Marshal(b.spec(s))
	if err != nil {
		return instance{}, fmt.Errorf("container description: %w", err)
	}
	cmd := exec.Command(b.self, initCommand, string(spec))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		UseCgroupFD: true,
		CgroupFD:    int(group.Fd()),
		Setsid:      true, // ^C at the terminal is for the demo, which ends the services in its own way
	}
	if err := atNetns(ns, cmd.Start); err != nil {
		return instance{}, fmt.Errorf("process: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.mu.Lock()
	b.done[s.name] = ended
	b.mu.Unlock()
	inst := instance{pid: cmd.Process.Pid, addr: b.net.addr[s.name]}
	if s.publish != 0 {
		inst.host = netip.AddrPortFrom(inst.addr, s.publish) // the host has a leg in this network
	}
	return inst, nil
}

func (b *bareHost) logFile(name string) string { return filepath.Join(b.stateDir, name+".log") }

func (b *bareHost) spec(s service) initSpec {
	spec := initSpec{
		Root: b.rootDir, Hostname: s.name, User: s.user, Argv: s.command(), Tmpfs: s.tmpfs,
		Nameserver: b.net.addr[dnsService].String(), Binds: map[string]string{},
	}
	if s.ownBinary() {
		spec.Binds[ownBin+s.name] = b.self
	}
	for inside := range s.files {
		spec.Binds[inside] = stateFile(b.stateDir, s, inside)
	}
	return spec
}

func (b *bareHost) dead(context.Context) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := map[string]string{}
	for name, ended := range b.done {
		select {
		case err := <-ended:
			text, _ := os.ReadFile(b.logFile(name)) // its last line is a help, not a need
			gone[name] = fmt.Sprintf("%v: %s", err, lastLine(printable(string(text))))
			ended <- err // for the next who asks
		default:
		}
	}
	return gone, nil
}

func (b *bareHost) clean(ctx context.Context) error {
	errs := removeCgroups(ctx)
	return errors.Join(errs, removeBareNet())
}

// nsName is how `ip netns` calls the namespace of a service.
func nsName(service string) string { return "weir-demo-" + service }

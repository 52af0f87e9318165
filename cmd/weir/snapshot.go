package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/exporters/pcap"
)

// snapshot captures the packets of the workloads that are chosen, those that start
// later included.
type snapshot struct {
	packets  *bpf.Packets
	resolver *identity.Resolver
	choice   packetChoice
	root     string
	log      *slog.Logger
	err      func(string) // says something to the user

	mu       sync.Mutex
	attached map[string]func() // by path below the root: what ends it
	found    bool              // a workload was chosen
}

func (a *app) openSnapshot(o packetOptions) (*snapshot, error) {
	root, err := a.findCgroupRoot()
	if err != nil {
		return nil, fmt.Errorf("capture: cgroup v2 is not found: %w; name its mount point with --cgroup-root", err)
	}
	packets, err := bpf.OpenPackets(bpf.PacketConfig{
		SnapLength: o.snap, Protocol: o.choice.protocol, Ports: o.choice.ports, Ranges: o.choice.ranges,
	})
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	s := &snapshot{
		packets: packets, resolver: identity.New(identity.Config{CgroupRoot: root, Logger: a.log}), choice: o.choice, root: root, log: a.log,
		err: func(text string) { fmt.Fprintf(a.err, "weir: %s\n", text) }, attached: make(map[string]func()),
	}
	if s.choice.all() {
		if err := s.attach("/"); err != nil {
			packets.Close()
			return nil, fmt.Errorf("capture: %w", err)
		}
	}
	return s, nil
}

// run hands every packet to take until ctx is done or take fails.
func (s *snapshot) run(ctx context.Context, take func(*pcap.Packet) error) error {
	naming, stop := context.WithCancel(context.WithoutCancel(ctx))
	named := make(chan error, 1)
	cancel := s.resolver.OnWorkload(s.meet)
	go func() { named <- s.resolver.Run(naming) }()
	if !s.choice.all() {
		around := lookout{root: s.root, tell: s.resolver.Observe}
		go every(naming, lookEvery, around.look)
	}
	hint := time.AfterFunc(3*time.Second, s.hint)
	err := s.packets.Run(ctx, func(p *bpf.Packet) error {
		w := s.resolver.Workload(p.Cgroup)
		if !s.choice.matches(w) {
			return nil // of another workload in a chosen one's cgroup
		}
		return take(s.packet(p, w))
	})
	hint.Stop()
	cancel()
	stop()
	if nerr := <-named; err == nil {
		err = nerr
	}
	return err
}

func (s *snapshot) packet(p *bpf.Packet, w *flow.Workload) *pcap.Packet {
	d := pcap.Ingress
	switch {
	case p.HeadOnly:
		d = pcap.Unknown
	case p.Egress:
		d = pcap.Egress
	}
	return &pcap.Packet{
		Time: p.Time, Workload: w.String(), PID: p.PID, Comm: p.Comm, Direction: d, Drop: p.Drop, Length: p.Length, Data: p.Data,
	}
}

// hint says why nothing is captured.
func (s *snapshot) hint() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.found && !s.choice.all() {
		s.err("no workload of this host is called so yet: waiting for one; weir observe shows what they are called")
	}
}

// meet begins to capture a workload's packets, if they are wanted.
func (s *snapshot) meet(w *flow.Workload) {
	if s.choice.all() || w.Cgroup == "" || !s.choice.matches(w) {
		return
	}
	if err := s.attach(w.Cgroup); err != nil {
		s.log.Warn("a workload is not captured", "workload", w.String(), "error", err)
	}
}

// attach begins to capture a cgroup, unless one above it is captured: its packets
// would be taken twice. For the same reason those below it are let go.
func (s *snapshot) attach(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.attached {
		if below(path, p) {
			return nil
		}
	}
	detach, err := s.packets.Attach(filepath.Join(s.root, path))
	if err != nil {
		return err
	}
	for p, end := range s.attached {
		gone := false
		if !below(p, path) {
			_, err := os.Stat(filepath.Join(s.root, p))
			gone = os.IsNotExist(err) // its links only take memory
		}
		if gone || below(p, path) {
			end()
			delete(s.attached, p)
		}
	}
	s.attached[path], s.found = detach, true
	return nil
}

// below tells whether a cgroup is another or lies in it.
func below(path, above string) bool {
	return path == above || strings.HasPrefix(path, strings.TrimSuffix(above, "/")+"/")
}

func (s *snapshot) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range s.attached {
		end()
	}
	s.packets.Close()
	return nil
}

package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Feature is one thing that weir asks of a kernel.
type Feature struct {
	Name      string // the program, or "BTF", "cgroup v2"
	Hook      string // where it attaches, as the kernel names it
	Purpose   string
	Without   string // what is lost without it
	Required  bool
	Available bool
	Err       error  // why it is not available
	Steps     uint32 // instructions that the verifier walked; 0 when not known
}

// Probe tries everything that Open needs, one by one, and takes it out again. It
// needs Open's privileges to say more than that they are missing.
func Probe(cfg Config) []Feature {
	cfg = cfg.withDefaults()
	btfErr := checkBTF(cfg.BTFPath)
	cgroupErr := cfg.check()
	if !errors.Is(cgroupErr, ErrNoCgroup2) {
		cgroupErr = nil
	}
	features := []Feature{
		{Name: "BTF", Hook: cfg.BTFPath, Purpose: "fits the programs to this kernel", Without: "nothing works", Required: true, Available: btfErr == nil, Err: btfErr},
		{Name: "cgroup v2", Hook: cfg.CgroupRoot, Purpose: "tells containers apart", Without: "nothing works", Required: true, Available: cgroupErr == nil, Err: cgroupErr},
	}
	maps, err := createMaps(cfg)
	if err != nil {
		return append(append(features, allHooks(err)...), packetFeature(0, err))
	}
	defer closeMaps(maps)
	for _, u := range units() {
		features = append(features, probeUnit(cfg, u, maps)...)
	}
	return append(features, packetFeature(probePackets(cfg.CgroupRoot)))
}

// probePackets does what the capture of whole packets does, without reading one. It
// gives the most steps that the verifier walked for one of the programs.
func probePackets(cgroup string) (steps uint32, err error) {
	p, err := OpenPackets(PacketConfig{RingSize: 64 << 10, SnapLength: 1})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	for _, program := range p.coll.Programs {
		if info, err := program.Info(); err == nil {
			n, _ := info.VerifiedInstructions()
			steps = max(steps, n)
		}
	}
	detach, err := p.Attach(cgroup)
	if err != nil {
		return steps, err
	}
	detach()
	return steps, nil
}

// packetFeature stands for the unit capture, whose programs are of use together only.
func packetFeature(steps uint32, err error) Feature {
	return Feature{
		Name: "capture", Hook: "cgroup_skb, tp_btf/kfree_skb, iter/task_file", Purpose: "whole packets of one workload, where weir capture asks for them",
		Without: "no weir capture", Available: err == nil, Err: err, Steps: steps,
	}
}

func probeUnit(cfg Config, u unit, maps map[string]*ebpf.Map) []Feature {
	in, err := loadUnit(cfg, u, maps, newGates(cfg, 0, nil))
	if err != nil {
		return hookFeatures(u, err)
	}
	defer in.coll.Close()
	features := hookFeatures(u, nil)
	for i, h := range u.hooks {
		f := &features[i]
		if info, err := in.coll.Programs[h.program].Info(); err == nil {
			f.Steps, _ = info.VerifiedInstructions()
		}
		l, err := attach(cfg, in, h, maps)
		if err != nil {
			f.Available, f.Err = false, err
			continue
		}
		if l != nil {
			l.Close()
		}
	}
	return features
}

func hookFeatures(u unit, err error) []Feature {
	var features []Feature
	for _, h := range u.hooks {
		features = append(features, Feature{Name: h.program, Hook: h.point, Purpose: h.purpose, Without: h.without,
			Required: h.required, Available: err == nil, Err: err})
	}
	return features
}

func allHooks(err error) []Feature {
	var features []Feature
	for _, u := range units() {
		features = append(features, hookFeatures(u, err)...)
	}
	return features
}

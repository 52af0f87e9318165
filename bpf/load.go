package bpf

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"github.com/seed79351815/weir/collector/flow"
)

// sharedNames are the maps that every unit uses; each is created once.
var sharedNames = [...]string{
	"sockets", "flows", "drops", "events", "stats",
	"l7_socks", "l7_pairs", "l7_cpus", "l7_egress", "l7_ingress", "l7_handed", "l7_handing", "exchanges", "operations",
	"dns_rooms", "lookups", "lookup_notes", "lookup_conns",
}

// createMaps creates the maps in the sizes that cfg asks for.
func createMaps(cfg Config) (map[string]*ebpf.Map, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain("lift the limit of locked memory", err)
	}
	spec, err := sharedSpec(cfg)
	if err != nil {
		return nil, err
	}
	maps := make(map[string]*ebpf.Map, len(sharedNames))
	for _, name := range sharedNames {
		m, err := ebpf.NewMap(spec.Maps[name])
		if err != nil {
			closeMaps(maps)
			return nil, explain("create BPF map "+name, err)
		}
		maps[name] = m
	}
	return maps, nil
}

func sharedSpec(cfg Config) (*ebpf.CollectionSpec, error) {
	spec, err := loadShared()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF object shared: %w", err)
	}
	cfg.size(spec)
	return spec, nil
}

// size sets the sizes of the maps and the gates of the programs.
func (cfg Config) size(spec *ebpf.CollectionSpec) {
	spec.Maps["events"].MaxEntries = uint32(cfg.RingSize)
	spec.Maps["flows"].MaxEntries = uint32(cfg.FlowTable)
}

func closeMaps(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}

// gates are what the programs are told before they are loaded; c/config.h.
type gates struct {
	self     uint32
	wakeup   uint64
	ordinary [256]uint8
}

func newGates(cfg Config, self uint32, reasons map[uint32]string) gates {
	// A small ring must wake its reader before it is full.
	return gates{self, uint64(min(cfg.RingSize/4, 64<<10)), ordinaryReasons(reasons)}
}

// variables are the gates by their names in C. With all, every exchange is told in
// full.
func (g gates) variables(all bool) map[string]any {
	v := map[string]any{
		"self_tgid": g.self, "wakeup_bytes": g.wakeup, "ordinary_reasons": g.ordinary,
		"lookup_patience": uint64(lookupPatience),
	}
	if all {
		v["l7_interval"], v["l7_burst"] = uint64(0), uint64(1)<<62
	}
	return v
}

// loaded is a unit whose programs are in the kernel.
type loaded struct {
	unit
	coll  *ebpf.Collection
	types map[string]ebpf.AttachType // by program
}

// attempt is what became of loading a unit.
type attempt struct {
	*loaded
	err error
}

// loadAll loads every unit, at once on as many processors as there are: what takes
// time is the verifier.
func loadAll(cfg Config, all []unit, maps map[string]*ebpf.Map, g gates) []attempt {
	attempts := make([]attempt, len(all))
	var wait sync.WaitGroup
	for i, u := range all {
		wait.Go(func() { attempts[i].loaded, attempts[i].err = loadUnit(cfg, u, maps, g) })
	}
	wait.Wait()
	return attempts
}

// loadUnit loads one unit on the shared maps. A program that the kernel refuses
// is left out when it is not required: the error names it, the rest is loaded.
func loadUnit(cfg Config, u unit, maps map[string]*ebpf.Map, g gates) (*loaded, error) {
	spec, err := u.spec()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF object %s: %w", u.name, err)
	}
	cfg.size(spec)
	for name, value := range g.variables(u.protocol != flow.L7None && u.protocol == cfg.tellAll) {
		// A unit has only the gates that its programs look at.
		if v := spec.Variables[name]; v != nil {
			if err := v.Set(value); err != nil {
				return nil, fmt.Errorf("set %s of BPF object %s: %w", name, u.name, err)
			}
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: sharedBy(spec, maps)})
	if err != nil {
		return nil, explainLoad(u.name, err)
	}
	types := make(map[string]ebpf.AttachType, len(spec.Programs))
	for name, p := range spec.Programs {
		types[name] = p.AttachType
	}
	return &loaded{u, coll, types}, nil
}

// sharedBy are those of the shared maps that an object names.
func sharedBy(spec *ebpf.CollectionSpec, maps map[string]*ebpf.Map) map[string]*ebpf.Map {
	shared := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if m := maps[name]; m != nil {
			shared[name] = m
		}
	}
	return shared
}

// selfTGID asks the kernel for this process's id in the initial PID namespace:
// inside a container os.Getpid would be another number. A program of type
// syscall runs in the caller's context.
func selfTGID() (uint32, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:    "self_tgid",
		Type:    ebpf.Syscall,
		Flags:   sleepable,
		License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.FnGetCurrentPidTgid.Call(),
			asm.RSh.Imm(asm.R0, 32),
			asm.Return(),
		},
	})
	if err != nil {
		return 0, explain("load BPF program self_tgid", err)
	}
	defer prog.Close()
	tgid, err := prog.Run(&ebpf.RunOptions{})
	if err != nil {
		return 0, explain("run BPF program self_tgid", err)
	}
	return tgid, nil
}

// sleepable is BPF_F_SLEEPABLE, which the kernel asks of syscall programs.
const sleepable = 1 << 4

package enforcer

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// Config says where the enforcer works. The zero value of a field that is not
// required means its default.
type Config struct {
	CgroupRoot string        // mount point of cgroup v2; required
	PinDir     string        // directory in a BPF file system, the enforcer's own; required
	Patience   time.Duration // so long after the last Alive the daemon is taken for gone; 5 s
	Logger     *slog.Logger  // slog.Default()

	abi   uint32            // of tests: in the place of ruleABI
	rooms map[string]uint32 // of tests: what fits in a table, by its name, in the place of what the programs say
}

// Enforcer owns the pinned programs and tables. Its methods may be called from
// one goroutine at a time.
type Enforcer struct {
	cfg        Config
	maps       map[string]*ebpf.Map
	programs   map[string]*ebpf.Program
	inner      innerTables
	regime     *regime
	sets       slots
	graces     graces
	names      names // of peers
	asked      names // of questions
	hosts      *mirror[[16]byte, uint32]
	blocks     *mirror[enforceAddressKey, uint32]
	turners    *mirror[enforceTurnerKey, uint32]
	containers *mirror[enforceContainerId, enforceMember]
	devices    devices
	attached   bool // something is at work, by whoever's hand
	working    bool // these programs are
}

// ruleABI is RULE_ABI of c/wire_rule.h. It is in the name of every pin: a daemon with
// other tables leaves these alone, and takes them out when its own are at work.
const ruleABI = 8

// Open loads the programs and takes over the tables that are pinned in PinDir,
// or makes new ones. It attaches nothing: the first Apply does. What an earlier
// enforcer attached goes on meanwhile.
func Open(cfg Config) (*Enforcer, error) {
	if cfg.Patience <= 0 {
		cfg.Patience = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.abi == 0 {
		cfg.abi = ruleABI
	}
	e := &Enforcer{cfg: cfg}
	if err := e.open(); err != nil {
		e.Close()
		return nil, fmt.Errorf("enforcement: %w", err)
	}
	return e, nil
}

func (e *Enforcer) open() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the limit of locked memory: %w", err)
	}
	spec, err := loadEnforce()
	if err != nil {
		return fmt.Errorf("read embedded BPF object: %w", err)
	}
	for name, room := range e.cfg.rooms {
		spec.Maps[name].MaxEntries = room
	}
	e.inner = innerTables{spec.Maps["port_sets"].InnerMap, spec.Maps["sets"].InnerMap}
	e.names = names{inner: spec.Maps["patterns"].InnerMap, table: enforcePatternTablePATTERNS_OPEN}
	e.asked = names{inner: spec.Maps["patterns"].InnerMap, table: enforcePatternTablePATTERNS_ASKED}
	dir := e.mapDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory for pins: %w", err)
	}
	for name, m := range spec.Maps {
		if isTable(name, m) {
			m.Pinning = ebpf.PinByName
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: dir}})
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("tables pinned in %s: %w: another build of weir made them; `weir policy off` takes them out", dir, err)
	}
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	e.maps, e.programs = coll.Maps, coll.Programs
	if e.regime, err = openRegime(e.maps["regimes"]); err != nil {
		return err
	}
	if err := e.openDevices(); err != nil {
		return err
	}
	if e.hosts, err = newMirror[[16]byte, uint32](e.maps["hosts"]); err != nil {
		return err
	}
	if e.blocks, err = newMirror[enforceAddressKey, uint32](e.maps["addresses"]); err != nil {
		return err
	}
	if e.turners, err = newMirror[enforceTurnerKey, uint32](e.maps["turners"]); err != nil {
		return err
	}
	if e.containers, err = newMirror[enforceContainerId, enforceMember](e.maps["containers"]); err != nil {
		return err
	}
	e.attached = len(e.pinnedLinks()) > 0
	return e.sets.adopt(e.maps["sets"], e.maps["port_sets"])
}

// isTable tells tables from variables that no program reads.
func isTable(name string, m *ebpf.MapSpec) bool {
	return m.Type != ebpf.Array && name != "name_rooms" || name == "regimes" || name == "ruled" || name == "syn_notes"
}

func (e *Enforcer) mapDir() string  { return e.pins("tables") }
func (e *Enforcer) linkDir() string { return e.pins("links") }

func (e *Enforcer) pins(kind string) string {
	return filepath.Join(e.cfg.PinDir, fmt.Sprintf("%s-v%d", kind, e.cfg.abi))
}

// Close gives up this process's hold. What is pinned goes on.
func (e *Enforcer) Close() error {
	e.graces.wait()
	for _, p := range e.programs {
		p.Close()
	}
	for _, m := range e.maps {
		m.Close()
	}
	for _, l := range e.devices.links {
		l.Close()
	}
	e.programs, e.maps, e.devices.links = nil, nil, nil
	return e.regime.close()
}

// Attached tells whether the programs are at work, by whoever's hand.
func (e *Enforcer) Attached() bool { return e.attached }

// point is where one program sits.
type point struct {
	program string
	tracing bool // on a tracepoint, not at the cgroup root
	cgroup  ebpf.AttachType
}

// points in the order in which they are attached: what refuses at once is behind
// what lets nothing pass.
var points = []point{
	{program: "enforce_mkdir", tracing: true},
	{program: "enforce_rmdir", tracing: true},
	{program: "enforce_create", cgroup: ebpf.AttachCGroupInetSockCreate},
	{program: "enforce_ingress", cgroup: ebpf.AttachCGroupInetIngress},
	{program: "enforce_egress", cgroup: ebpf.AttachCGroupInetEgress},
	{program: "enforce_connect4", cgroup: ebpf.AttachCGroupInet4Connect},
	{program: "enforce_connect6", cgroup: ebpf.AttachCGroupInet6Connect},
	{program: "enforce_sendmsg4", cgroup: ebpf.AttachCGroupUDP4Sendmsg},
	{program: "enforce_sendmsg6", cgroup: ebpf.AttachCGroupUDP6Sendmsg},
	{program: "device_setsockopt", cgroup: ebpf.AttachCGroupSetsockopt},
}

// attach puts every program to work and pins its link. Where an earlier daemon's
// is at work already it is replaced only after the new one works, so that no
// packet passes between.
func (e *Enforcer) attach() error {
	if err := os.MkdirAll(e.linkDir(), 0o700); err != nil {
		return fmt.Errorf("directory for pins: %w", err)
	}
	for _, p := range points {
		if err := e.attachOne(p); err != nil {
			return fmt.Errorf("attach %s: %w", p.program, err)
		}
	}
	e.attached = true
	return nil
}

func (e *Enforcer) attachOne(p point) error {
	before, err := filepath.Glob(filepath.Join(e.linkDir(), p.program+"-*"))
	if err != nil {
		return err
	}
	var l link.Link
	if p.tracing {
		l, err = link.AttachTracing(link.TracingOptions{Program: e.programs[p.program]})
	} else {
		l, err = link.AttachCgroup(link.CgroupOptions{Path: e.cfg.CgroupRoot, Attach: p.cgroup, Program: e.programs[p.program]})
	}
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(filepath.Join(e.linkDir(), fmt.Sprintf("%s-%d", p.program, time.Now().UnixNano()))); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	for _, path := range before {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("take out the one before: %w", err)
		}
	}
	return nil
}

func (e *Enforcer) pinnedLinks() []string {
	found, _ := filepath.Glob(filepath.Join(e.linkDir(), "*"))
	return found
}

// Off takes all programs and tables out of the kernel, whoever put them there.
// Nothing is enforced any more.
func (e *Enforcer) Off() error {
	e.attached, e.working = false, false
	err := Remove(e.cfg.PinDir)
	for at, l := range e.devices.links {
		l.Close() // after its pin, as in drop
		delete(e.devices.links, at)
	}
	return err
}

// Pinned tells whether something is enforced from this directory. It needs no
// Enforcer.
func Pinned(pinDir string) bool {
	found, _ := filepath.Glob(filepath.Join(pinDir, "links-*", "*"))
	return len(found) > 0
}

// Remove takes out what is pinned in the directory, of every build of weir: the
// programs first. It is nil where there is nothing.
func Remove(pinDir string) error {
	return errors.Join(removePins(pinDir, func(string) bool { return true }), removeFilters(filterHandle(pinDir)))
}

func removePins(pinDir string, which func(dir string) bool) error {
	for _, kind := range []string{"links-*", "tables-*"} {
		dirs, err := filepath.Glob(filepath.Join(pinDir, kind))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if !which(dir) {
				continue
			}
			if kind == "links-*" {
				detach(dir)
			}
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("take out what is pinned: %w", err)
			}
		}
	}
	return nil
}

// detach takes the pinned programs from where they are at work, before it returns:
// the kernel lets go of what is no longer pinned when it finds the time. It can do
// that for all but those on tracepoints, which judge nothing.
func detach(dir string) {
	pins, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			continue // it is taken out all the same
		}
		_ = l.Detach()
		_ = l.Close()
	}
}

package enforcer

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// States of TCP, include/net/tcp_states.h.
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpSynRecv     = 3
	tcpClose       = 7
	tcpListen      = 10
)

// turnOver makes another set everyone's, and has everything decided again, when a
// socket comes from one state of TCP to another: in the kernel, since nothing else
// is quick enough. It ends with the test.
func (w *town) turnOver(t *testing.T, from, to int32, everyone uint32) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord),
		asm.JNE.Imm(asm.R2, from, "out"),
		asm.LoadMem(asm.R2, asm.R1, 16, asm.DWord),
		asm.JNE.Imm(asm.R2, to, "out"),
		asm.LoadMapValue(asm.R1, w.maps["regimes"].FD(), 0),
		asm.Mov.Imm(asm.R2, int32(everyone)),
		asm.StoreMem(asm.R1, int16(unsafe.Offsetof(enforceRegime{}.Everyone)), asm.R2, asm.Word),
		asm.LoadMem(asm.R2, asm.R1, int16(unsafe.Offsetof(enforceRegime{}.Generation)), asm.DWord),
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(asm.R1, int16(unsafe.Offsetof(enforceRegime{}.Generation)), asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "inet_sock_set_state", Program: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// What was decided for one step of a connection does not hold for the next one when
// the policy has changed between them.
func TestPolicyChangesWhileAConnectionBegins(t *testing.T) {
	w := newTown(t, "client", "server", "other")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	rule := func(d policy.Direction, peer string) policy.Set {
		return policy.Set{Entries: []policy.Entry{both(d, w.identity(peer), 0, 0, policy.Deny)}}
	}
	for name, c := range map[string]struct {
		from, to      int32
		before, after policy.Set
		refused       string // what is told, and of whom
	}{
		"connect(2), then SYN":          {tcpClose, tcpSynSent, rule(policy.Egress, "other"), rule(policy.Egress, "server"), "client egress"},
		"SYN, then handshake's end":     {tcpSynSent, tcpEstablished, rule(policy.Ingress, "other"), rule(policy.Ingress, "client"), "server ingress"},
		"handshake's end, then payload": {tcpListen, tcpSynRecv, rule(policy.Ingress, "other"), rule(policy.Ingress, "client"), "server ingress"},
		"no rules, then payload":        {tcpListen, tcpSynRecv, policy.Set{}, rule(policy.Ingress, "client"), "server ingress"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, address := range []string{p.On(w.hosts["server"].V4), p.On(w.hosts["server"].V6)} {
				// The other's set is there to be everyone's.
				w.apply(map[string]policy.Set{"": c.before, "other": c.after})
				var m enforceMember
				if err := w.maps["members"].Lookup(w.hosts["other"].CgroupID, &m); err != nil {
					t.Fatal(err)
				}
				reach := func() string { return w.reach("client", role.Spec{Role: role.TCPClient, Address: address}) }
				if got := reach(); got != "" {
					t.Fatalf("before: %q", got)
				}
				w.verdicts()
				t.Run("turned over", func(t *testing.T) {
					w.turnOver(t, c.from, c.to, m.Set)
					if got := reach(); got != "timeout" {
						t.Errorf("to %s: %q, want a timeout", address, got)
					}
				})
				if told := w.verdicts(); told[c.refused] == nil {
					t.Errorf("to %s: told was %v", address, told)
				}
			}
		})
	}
}

// diverted has the client's connect(2) lead elsewhere, by a program that runs after
// the enforcer's. It ends with the test.
func (w *town) diverted(t *testing.T, to netip.Addr) {
	t.Helper()
	const userIP4 = 4 // of struct bpf_sock_addr
	v4 := to.As4()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.FnGetCurrentCgroupId.Call(),
			asm.LoadImm(asm.R1, int64(w.hosts["client"].CgroupID), asm.DWord),
			asm.JNE.Reg(asm.R0, asm.R1, "out"),
			asm.Mov.Imm32(asm.R1, int32(binary.NativeEndian.Uint32(v4[:]))),
			asm.StoreMem(asm.R6, userIP4, asm.R1, asm.Word),
			asm.Mov.Imm(asm.R0, 1).WithSymbol("out"),
			asm.Return(),
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := link.AttachCgroup(link.CgroupOptions{Path: lab.CgroupRoot(t), Attach: ebpf.AttachCGroupInet4Connect, Program: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// Another program may let connect(2) lead elsewhere than the process said: where it
// leads counts.
func TestPeersThatOthersPutInAreJudged(t *testing.T) {
	w := newTown(t, "client", "server", "friend")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("friend"), 0, 0, policy.Allow)}}})
	w.diverted(t, w.hosts["server"].V4)
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["friend"].V4)}); got != "timeout" {
		t.Errorf("led to who is refused: %q, want a timeout", got)
	}
	if told := w.verdicts(); told["client egress"] == nil {
		t.Errorf("told was %v", told)
	}
	w.apply(nil)
	if got := w.reach("client", role.Spec{Role: role.TCPClient, Address: p.On(w.hosts["friend"].V4)}); got != "" {
		t.Errorf("without rules: %q", got)
	}
}

// Nobody has noted whose a socket is that is older than the programs: connect(2)
// takes it for the caller's, and its packets are its creator's.
func TestSocketsOlderThanTheProgramsAreTheirCreators(t *testing.T) {
	w := newTown(t, "client", "server")
	p := w.hosts["server"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	var given []*os.File
	for range 2 { // by this process, which is in no host's cgroup
		if err := w.hosts["client"].Run(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			given = append(given, os.NewFile(uintptr(fd), "given"))
			if err != nil {
				return err
			}
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 700_000})
		}); err != nil {
			t.Fatal(err)
		}
		defer given[len(given)-1].Close()
	}
	spec := role.Spec{Role: role.Sneak, Way: role.Given, Address: p.On(w.hosts["server"].V4)}
	everyone := func(v policy.Verdict) map[string]policy.Set {
		return map[string]policy.Set{"client": {}, "": {Entries: []policy.Entry{both(policy.Egress, w.identity("server"), tcp, p.Addr.Port(), v)}}}
	}
	w.apply(everyone(policy.Deny))
	if r := w.hosts["client"].Account(spec, given[0]); r.Failed["timeout"] != 1 {
		t.Errorf("of somebody who may not: %v", r.Failed)
	}
	w.apply(everyone(policy.Allow))
	if r := w.hosts["client"].Account(spec, given[1]); len(r.Failed) != 0 {
		t.Errorf("of somebody who may: %v", r.Failed)
	}
}

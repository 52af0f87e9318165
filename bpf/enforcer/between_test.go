package enforcer

import (
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

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

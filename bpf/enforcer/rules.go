package enforcer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// rule is one element of the kernel's table.
type rule struct {
	key   enforceRuleKey
	value enforceRuleValue
}

// Bits of enforceRuleKey that count, by what it leaves open.
const (
	bitsAnyProtocol = 40 // peer and direction
	bitsAnyPort     = 48
)

// ruleNumbers are the kernel's numbers for a plan's rules, by policy.RuleID.
type ruleNumbers []uint32

func numberRules(t *policy.Tables) ruleNumbers {
	n := make(ruleNumbers, len(t.Rules)+1)
	for i, r := range t.Rules {
		n[i+1] = kernel.RuleNumber(r)
	}
	return n
}

// of is 0 for ids that the plan does not have, as policy.Tables.Rule is the zero Rule.
func (n ruleNumbers) of(id policy.RuleID) uint32 {
	if int(id) >= len(n) {
		return 0
	}
	return n[id]
}

// encode turns a set into the kernel's table. What a policy denies by default
// stands in the entries for every peer: the least specific one, and those that
// say nothing themselves.
func encode(numbers ruleNumbers, s policy.Set) []rule {
	rules := make([]rule, 0, len(s.Entries)+2)
	open := map[policy.Direction]bool{policy.Ingress: true, policy.Egress: true}
	for _, en := range s.Entries {
		posture := s.Ingress
		if en.Direction == policy.Egress {
			posture = s.Egress
		}
		if en.Peer != policy.IdentityAny {
			posture = policy.Posture{}
		} else if en.Protocol == 0 {
			open[en.Direction] = false
		}
		rules = append(rules, rule{keyOf(en), enforceRuleValue{
			EnforcedRule: numbers.of(en.Enforced.Rule), AuditedRule: numbers.of(en.Audited.Rule),
			Enforced: rank(en.Enforced.Verdict, posture.Enforce), Audited: rank(en.Audited.Verdict, posture.Audit),
			Asked: uint16(en.Questions),
		}})
	}
	rules = append(rules, encodeQuestions(numbers, s)...)
	for direction, p := range map[policy.Direction]policy.Posture{policy.Ingress: s.Ingress, policy.Egress: s.Egress} {
		if open[direction] && (p.Enforce || p.Audit) {
			rules = append(rules, rule{keyOf(policy.Entry{Direction: direction}), enforceRuleValue{
				Enforced: rank(policy.None, p.Enforce), Audited: rank(policy.None, p.Audit),
			}})
		}
	}
	slices.SortFunc(rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.key.Bits, b.key.Bits), bytes.Compare(a.bytes(), b.bytes()))
	})
	return rules
}

// encodeQuestions gives the entries about questions of DNS, by their numbers.
func encodeQuestions(numbers ruleNumbers, s policy.Set) (rules []rule) {
	open := map[int]bool{} // those of everyone, where what a policy denies by default stands
	for _, en := range s.Entries {
		open[en.Questions] = open[en.Questions] || en.Peer == policy.IdentityAny
	}
	for i, q := range s.Questions {
		add := func(id uint32, of, all policy.Decision, posture policy.Posture, reject uint8) {
			rules = append(rules, rule{
				enforceRuleKey{
					Bits: bitsAnyPort + 16, Peer: id, Direction: uint8(enforceDirectionDIRECTION_ASKED), Port: bits.ReverseBytes16(uint16(i + 1)),
				},
				enforceRuleValue{
					EnforcedRule: numbers.of(of.Rule), AuditedRule: numbers.of(all.Rule),
					Enforced: rank(of.Verdict, posture.Enforce), Audited: rank(all.Verdict, posture.Audit), Asked: uint16(reject),
				}})
		}
		var posture policy.Posture
		if open[i+1] {
			posture = s.Egress
		}
		add(uint32(enforceAskedNameASKED_EVERY), q.Enforced, q.Audited, posture, q.Reject.Code())
		for _, n := range q.Names {
			add(uint32(n.Identity), n.Enforced, n.Audited, policy.Posture{}, 0)
		}
	}
	return rules
}

func keyOf(en policy.Entry) enforceRuleKey {
	k := enforceRuleKey{Bits: bitsAnyProtocol, Peer: uint32(en.Peer), Direction: uint8(en.Direction)}
	if en.Protocol == 0 {
		return k
	}
	k.Protocol, k.Bits = en.Protocol, bitsAnyPort+uint32(en.PortBits)
	k.Port = bits.ReverseBytes16(en.Port & ^(uint16(0xffff) >> en.PortBits))
	return k
}

func rank(v policy.Verdict, deniedByDefault bool) uint8 {
	switch {
	case v == policy.Deny:
		return uint8(enforceRankRANK_DENY)
	case v == policy.Allow:
		return uint8(enforceRankRANK_ALLOW)
	case deniedByDefault:
		return uint8(enforceRankRANK_DEFAULT_DENY)
	}
	return uint8(enforceRankRANK_NONE)
}

func (r *rule) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r)) }

// digest tells tables apart.
func digest(rules []rule) [sha256.Size]byte {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, uint64(len(rules)))
	for i := range rules {
		h.Write(rules[i].bytes())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// innerTables are what the two tables of a set are made like.
type innerTables struct{ ports, wide *ebpf.MapSpec }

// ruleTables are the kernel's tables of one set.
type ruleTables struct{ ports, wide *ebpf.Map }

func (t *ruleTables) close() {
	t.ports.Close()
	t.wide.Close()
}

// make makes the kernel's tables of the rules. The caller closes them.
func (in innerTables) make(rules []rule) (*ruleTables, error) {
	ports, wide := rules, rules
	// They are sorted by what counts of their keys.
	if i := slices.IndexFunc(rules, rule.onePort); i >= 0 {
		wide, ports = rules[:i], rules[i:]
	} else {
		ports = nil
	}
	t := &ruleTables{}
	var err error
	if t.ports, err = fill(in.ports, ports, func(r *rule) any {
		return &enforcePortKey{Peer: r.key.Peer, Direction: r.key.Direction, Protocol: r.key.Protocol, Port: r.key.Port}
	}); err != nil {
		return nil, err
	}
	if t.wide, err = fill(in.wide, wide, func(r *rule) any { return &r.key }); err != nil {
		t.ports.Close()
		return nil, err
	}
	return t, nil
}

func (r rule) onePort() bool { return r.key.Bits == bitsAnyPort+16 }

func fill(spec *ebpf.MapSpec, rules []rule, key func(*rule) any) (*ebpf.Map, error) {
	if limit := int(spec.MaxEntries); len(rules) > limit {
		return nil, fmt.Errorf("%d rules for one workload: a table has room for %d", len(rules), limit)
	}
	s := spec.Copy()
	s.MaxEntries = uint32(max(len(rules), 1))
	m, err := ebpf.NewMap(s)
	if err != nil {
		return nil, fmt.Errorf("table of %d rules: %w", len(rules), err)
	}
	for i := range rules {
		if err := m.Put(key(&rules[i]), &rules[i].value); err != nil {
			m.Close()
			return nil, fmt.Errorf("table of %d rules: rule %d: %w", len(rules), i+1, err)
		}
	}
	return m, nil
}

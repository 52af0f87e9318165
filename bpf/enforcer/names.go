package enforcer

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/policy"
)

// names is a table of DNS patterns that is in place.
type names struct {
	inner  *ebpf.MapSpec
	table  enforcePatternTable
	digest [sha256.Size]byte // of its patterns; zero: an earlier daemon's hand
}

// preparedNames is a table of patterns, filled; nil where the one in place has
// the same.
type preparedNames struct {
	table  *ebpf.Map
	digest [sha256.Size]byte
}

func (p *preparedNames) close() {
	if p != nil {
		p.table.Close()
	}
}

func (n *names) prepare(list []policy.Name) (*preparedNames, error) {
	d := digestNames(list)
	if d == n.digest {
		return nil, nil
	}
	states, err := compileNames(list)
	if err != nil {
		return nil, err
	}
	spec := n.inner.Copy()
	spec.MaxEntries = uint32(len(states))
	table, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("table of %d DNS patterns: %w", len(list), err)
	}
	p := &preparedNames{table, d}
	keys := make([]uint32, len(states))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := table.BatchUpdate(keys, states, nil); err != nil {
		p.close()
		return nil, fmt.Errorf("table of %d DNS patterns: fill: %w", len(list), err)
	}
	return p, nil
}

// place says where the prepared table goes, if there is one. Call placed when it is
// there: until then it is not known which one is.
func (n *names) place(patterns *ebpf.Map, p *preparedNames) []placing {
	if p == nil {
		return nil
	}
	n.digest = [sha256.Size]byte{}
	return []placing{{patterns, uint32(n.table), p.table}}
}

func (n *names) placed(p *preparedNames) {
	if p != nil {
		n.digest = p.digest
	}
}

func digestNames(list []policy.Name) [sha256.Size]byte {
	h := sha256.New()
	for _, n := range list {
		h.Write(binary.LittleEndian.AppendUint32([]byte(n.Pattern+"\x00"), uint32(n.Identity)))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// EnforcesNames tells whether policies may speak of DNS names: an address that a
// workload gets as an answer has the identities of the patterns that match what
// it asked for.
func (e *Enforcer) EnforcesNames() bool { return true }

// Known is an address that an answer gave.
type Known struct {
	Owner    uint64 // the cgroup whose processes know it
	Addr     netip.Addr
	Identity policy.Identity // of the pattern
	Left     time.Duration   // so long new connections may begin by it; not above 0: it is past
}

// Known gives what resolvers answered so far, with what is past and not
// forgotten yet. The kernel keeps 65,536 addresses, and forgets the ones that
// were not used for longest. What changes meanwhile may be missing. It stops at
// an error.
func (e *Enforcer) Known() iter.Seq2[Known, error] {
	return func(yield func(Known, error) bool) {
		var k enforceKnownKey
		var v enforceKnownNames
		now := time.Duration(boottime()) / time.Second
		it := e.maps["known"].Iterate()
		for it.Next(&k, &v) {
			for _, slot := range v.Slots {
				if slot == 0 {
					continue
				}
				left := (time.Duration(uint32(slot)) - now) * time.Second
				if !yield(Known{k.Owner, netip.AddrFrom16(k.Addr).Unmap(), policy.Identity(slot >> 32), left}, nil) {
					return
				}
			}
		}
		if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
			yield(Known{}, fmt.Errorf("read the addresses of names: %w", err))
		}
	}
}

// NameLosses counts the answers that opened nothing, or less than they could,
// by reason, since the tables were made. Only answers to what some pattern
// matches are counted, except for those that could not be read so far.
func (e *Enforcer) NameLosses() (map[string]uint64, error) {
	lost := make(map[string]uint64, len(nameLosses))
	var each []uint64
	for i, name := range nameLosses {
		if err := e.maps["name_losses"].Lookup(uint32(i), &each); err != nil {
			return nil, fmt.Errorf("read the losses of names: %w", err)
		}
		for _, n := range each {
			lost[name] += n
		}
	}
	return lost, nil
}

// nameLosses are the reasons of enum name_loss, in its order.
var nameLosses = [enforceNameLossNAME_LOSSES]string{
	enforceNameLossNAME_UNASKED:    "unasked",
	enforceNameLossNAME_LATE:       "late",
	enforceNameLossNAME_FORGED:     "forged",
	enforceNameLossNAME_TRUNCATED:  "truncated",
	enforceNameLossNAME_TOO_LONG:   "too_long",
	enforceNameLossNAME_UNREADABLE: "unreadable",
	enforceNameLossNAME_BUSY:       "busy",
	enforceNameLossNAME_CROWDED:    "crowded",
	enforceNameLossNAME_FULL:       "full",
	enforceNameLossNAME_STREAM:     "stream",
}

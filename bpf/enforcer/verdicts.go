package enforcer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// verdictTables are those that programs write verdicts to, by turns.
var verdictTables = [...]string{"verdicts", "verdicts_too"}

// Verdicts calls fn for everything that was denied or audited since the reading
// before, and forgets it. lost is how many the kernel had no room for since the
// tables were made. Where there is something to read it waits some milliseconds,
// for programs that are at it.
func (e *Enforcer) Verdicts(fn func(*kernel.Verdict)) (lost uint64, err error) {
	turn := atomic.LoadUint32(&e.regime.Turn) % 2
	if e.anyVerdict() {
		atomic.StoreUint32(&e.regime.Turn, 1-turn)
		if err := e.quiesce(); err != nil {
			return 0, fmt.Errorf("read verdicts: %w", err)
		}
		if err := e.emptyVerdicts(e.maps[verdictTables[turn]], fn); err != nil {
			return 0, fmt.Errorf("read verdicts: %w", err)
		}
	}
	return atomic.LoadUint64(&e.regime.Lost), nil
}

// anyVerdict tells whether there is something to read: an earlier daemon may have
// left something in either.
func (e *Enforcer) anyVerdict() bool {
	var k enforceVerdictKey
	for _, name := range verdictTables {
		if e.maps[name].NextKey(nil, &k) == nil {
			return true
		}
	}
	return false
}

// emptyVerdicts reads a table that nobody writes to any more.
func (e *Enforcer) emptyVerdicts(table *ebpf.Map, fn func(*kernel.Verdict)) error {
	var keys []enforceVerdictKey
	var k enforceVerdictKey
	var v enforceVerdictValue
	it := table.Iterate()
	for it.Next(&k, &v) {
		keys = append(keys, k)
	}
	if err := it.Err(); err != nil {
		return err
	}
	for i := range keys {
		if err := table.LookupAndDelete(&keys[i], &v); err != nil {
			return err
		}
		out := verdictOf(&keys[i], &v)
		out.Name = e.nameTold(keys[i].Name)
		fn(out)
	}
	return nil
}

// quiesce returns when no program runs that had begun before: for that the kernel
// waits where a table of tables changes.
func (e *Enforcer) quiesce() error {
	everyone := atomic.LoadUint32(&e.regime.Everyone)
	var table *ebpf.Map
	err := e.maps["sets"].Lookup(everyone, &table)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil // nothing was applied yet
	}
	if err != nil {
		return fmt.Errorf("wait for programs: %w", err)
	}
	defer table.Close()
	if err := e.maps["sets"].Put(everyone, table); err != nil {
		return fmt.Errorf("wait for programs: %w", err)
	}
	return nil
}

// nameTold is the name of a question that was refused; the kernel keeps the last
// 4,096.
func (e *Enforcer) nameTold(hash uint64) string {
	var told enforceToldName
	if hash == 0 || hash == enforceNameUnread || e.maps["told_names"].Lookup(hash, &told) != nil {
		return ""
	}
	name := make([]byte, told.Text[len(told.Text)-1])
	for i := range name {
		name[i] = '?'
		if c := int(told.Text[i]); c < len(characters) {
			name[i] = characters[c]
		}
	}
	return string(name)
}

// enforceNameUnread is NAME_UNREAD of c/wire_rule.h.
const enforceNameUnread = 1

func verdictOf(k *enforceVerdictKey, v *enforceVerdictValue) *kernel.Verdict {
	out := &kernel.Verdict{
		Cgroup: k.Cgroup, PeerCgroup: v.PeerCgroup, Peer: netip.AddrPortFrom(netip.AddrFrom16(k.Addr).Unmap(), v.RemotePort),
		LocalPort: v.LocalPort, Port: k.Port, Protocol: k.Protocol, Direction: policy.Direction(k.Direction),
		Denied: enforceVerdict(k.Verdict) == enforceVerdictVERDICT_DENIED, Rule: k.Rule, Identity: policy.Identity(k.Peer),
		Asked: k.Name != 0, Count: v.Count, Last: v.Last, PID: v.Pid,
	}
	for i, c := range v.Comm {
		out.Comm[i] = byte(c)
	}
	return out
}

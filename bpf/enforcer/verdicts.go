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

// Verdicts calls fn for everything that was denied or audited since the reading
// before, and forgets it. lost is how many the kernel had no room for since the
// tables were made.
func (e *Enforcer) Verdicts(fn func(*kernel.Verdict)) (lost uint64, err error) {
	var k enforceVerdictKey
	var v enforceVerdictValue
	var keys []enforceVerdictKey
	it := e.maps["verdicts"].Iterate()
	for it.Next(&k, &v) {
		keys = append(keys, k)
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return 0, fmt.Errorf("read verdicts: %w", err)
	}
	for i := range keys {
		// Taken out and read in one step, so that none between goes uncounted.
		if err := e.maps["verdicts"].LookupAndDelete(&keys[i], &v); err != nil {
			continue
		}
		fn(verdictOf(&keys[i], &v))
	}
	return atomic.LoadUint64(&e.regime.Lost), nil
}

func verdictOf(k *enforceVerdictKey, v *enforceVerdictValue) *kernel.Verdict {
	out := &kernel.Verdict{
		Cgroup: k.Cgroup, PeerCgroup: v.PeerCgroup, Peer: netip.AddrPortFrom(netip.AddrFrom16(k.Addr).Unmap(), v.RemotePort),
		LocalPort: v.LocalPort, Port: k.Port, Protocol: k.Protocol, Direction: policy.Direction(k.Direction),
		Denied: enforceVerdict(k.Verdict) == enforceVerdictVERDICT_DENIED, Rule: k.Rule, Identity: policy.Identity(k.Peer),
		Count: v.Count, Last: v.Last, PID: v.Pid,
	}
	for i, c := range v.Comm {
		out.Comm[i] = byte(c)
	}
	return out
}

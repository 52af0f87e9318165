package bpf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/seed79351815/weir/collector/flow"
)

// dropTable is the kernel's count of dropped packets, emptied at each reading.
type dropTable struct {
	m       *ebpf.Map
	keys    []sharedDropKey
	values  []sharedDropValue
	reasons map[uint32]string
}

func newDropTable(m *ebpf.Map, reasons map[uint32]string) *dropTable {
	const batch = 256
	return &dropTable{m: m, keys: make([]sharedDropKey, batch), values: make([]sharedDropValue, batch), reasons: reasons}
}

// dropReasons asks the running kernel for its names: the numbers change from one
// release to the next.
func dropReasons() (map[uint32]string, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, explain("read the kernel's types", err)
	}
	var enum *btf.Enum
	if err := spec.TypeByName("skb_drop_reason", &enum); err != nil {
		return map[uint32]string{}, nil // the program is absent then, too
	}
	reasons := make(map[uint32]string, len(enum.Values))
	for _, v := range enum.Values {
		reasons[uint32(v.Value)] = strings.TrimPrefix(v.Name, "SKB_DROP_REASON_")
	}
	return reasons, nil
}

// ordinary are reasons with which packets are freed that did their work: a reset
// that was obeyed, what had arrived before, what was merged into a neighbour, what
// still waited when its socket was closed; and no reason at all, which is mostly
// clones. None of it is a loss, and the program passes over it.
var ordinary = map[string]bool{
	"SKB_CONSUMED": true, "SKB_NOT_DROPPED_YET": true, "NOT_SPECIFIED": true,
	"TCP_RESET": true, "TCP_OLD_DATA": true, "TCP_OLD_ACK": true, "TCP_OLD_SEQUENCE": true, "TCP_OFOMERGE": true,
	"QUEUE_PURGE": true,
}

// ordinaryReasons are the ordinary ones' numbers on this kernel, for the program.
func ordinaryReasons(reasons map[uint32]string) (set [256]uint8) {
	for n, name := range reasons {
		if int(n) < len(set) && ordinary[name] {
			set[n] = 1
		}
	}
	return set
}

func (t *dropTable) reason(n uint32) string {
	if s, ok := t.reasons[n]; ok {
		return s
	}
	return "REASON_" + strconv.FormatUint(uint64(n), 10)
}

func (t *dropTable) read(b *batcher) error {
	var cursor ebpf.MapBatchCursor
	now := time.Now().UnixNano()
	for {
		n, err := t.m.BatchLookupAndDelete(&cursor, t.keys, t.values, nil)
		for i := range n {
			k, v := &t.keys[i], &t.values[i]
			reason := t.reason(k.Reason)
			// The kernel frees every ICMP message so that no socket waits for, after it acted on it.
			icmp := k.Protocol == uint8(flow.ICMP) || k.Protocol == uint8(flow.ICMPv6)
			if icmp && reason == "NO_SOCKET" {
				continue
			}
			*b.next() = flow.Event{Kind: flow.KindDrop, Time: now, Drop: &flow.Drop{
				NetNS: k.Netns, Protocol: flow.Protocol(k.Protocol),
				Source: addrPort(&k.Source), Destination: addrPort(&k.Destination),
				Reason: reason, Packets: v.Packets, Bytes: v.Bytes,
			}}
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read BPF map drops: %w", err)
		}
	}
}

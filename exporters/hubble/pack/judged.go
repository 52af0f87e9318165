package pack

import (
	"encoding/binary"

	"github.com/seed79351815/weir/collector/flow"
)

// Which of a verdict's flags are set.
const (
	judgedIngress = 1 << iota
	judgedDenied
	judgedEnded
)

// judged appends what a verdict's record has beside its flow. The order is that of
// cursor.judged.
func (p *Packer) judged(b []byte, j *flow.Judged) []byte {
	flags := byte(0)
	set := func(bit byte, on bool) {
		if on {
			flags |= bit
		}
	}
	set(judgedIngress, j.Ingress)
	set(judgedDenied, j.Denied)
	set(judgedEnded, j.Ended)
	b = append(b, flags, byte(j.Protocol))
	b = binary.AppendUvarint(b, j.Cgroup)
	b = binary.AppendUvarint(b, j.PeerCgroup)
	b = appendAddrPort(b, j.Local)
	b = appendAddrPort(b, j.Remote)
	b = binary.AppendUvarint(b, uint64(j.Port))
	b = binary.AppendUvarint(b, uint64(j.PID))
	b = appendComm(b, &j.Comm)
	b = binary.AppendUvarint(b, j.Count)
	b = binary.AppendUvarint(b, p.text(j.Rule))
	b = binary.AppendUvarint(b, p.text(j.Asked))
	b = binary.AppendUvarint(b, uint64(len(j.By)))
	for _, ref := range j.By {
		for _, s := range [...]string{ref.Name, ref.Namespace, ref.Kind, ref.Mode, ref.Section} {
			b = binary.AppendUvarint(b, p.text(s))
		}
		b = binary.AppendVarint(b, int64(ref.Index))
	}
	return b
}

func (c *cursor) judged(b *Batch) *flow.Judged {
	flags := c.byte()
	j := &flow.Judged{
		Ingress: flags&judgedIngress != 0, Denied: flags&judgedDenied != 0, Ended: flags&judgedEnded != 0,
		Protocol: flow.Protocol(c.byte()),
	}
	j.Cgroup, j.PeerCgroup = c.uvarint(), c.uvarint()
	j.Local, j.Remote = c.addrPort(), c.addrPort()
	j.Port, j.PID = uint16(c.uvarint()), uint32(c.uvarint())
	j.Comm, j.Count = c.comm(), c.uvarint()
	j.Rule = c.text(b)
	j.Asked = c.text(b)
	for range c.count() {
		ref := flow.PolicyRef{Name: c.text(b), Namespace: c.text(b), Kind: c.text(b), Mode: c.text(b), Section: c.text(b)}
		ref.Index = int(c.varint())
		j.By = append(j.By, ref)
	}
	return j
}

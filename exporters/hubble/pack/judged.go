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
	for bit, on := range map[byte]bool{judgedIngress: j.Ingress, judgedDenied: j.Denied, judgedEnded: j.Ended} {
		if on {
			flags |= bit
		}
	}
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
	j.Rule = b.text(c.uvarint())
	j.Asked = b.text(c.uvarint())
	for n := c.uvarint(); n > 0; n-- {
		ref := flow.PolicyRef{Name: b.text(c.uvarint()), Namespace: b.text(c.uvarint()), Kind: b.text(c.uvarint()), Mode: b.text(c.uvarint()), Section: b.text(c.uvarint())}
		ref.Index = int(c.varint())
		j.By = append(j.By, ref)
	}
	return j
}

package convert

import (
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/seed79351815/weir/collector/flow"
)

// uuid names a record: the same record gets the same one wherever and however
// often it is converted. It is an RFC 9562 UUID of version 8, made of a hash
// over the host, the flow and the moment.
func (c *Converter) uuid(r *flow.Record) string {
	id, start := r.Flow.ID, r.Flow.Start
	if r.L7 != nil && r.L7.Exchange != nil {
		id, start = r.L7.Exchange.Cookie, r.L7.Exchange.Start
	}
	var in [25]byte
	binary.LittleEndian.PutUint64(in[0:], id)
	binary.LittleEndian.PutUint64(in[8:], uint64(start))
	binary.LittleEndian.PutUint64(in[16:], uint64(r.Time))
	in[24] = byte(r.Kind)
	h := c.naming
	h.Reset()
	h.Write(in[:])
	h.Write([]byte(c.node))
	// The drops of one reading differ in nothing else.
	if d := r.Drop; d != nil {
		h.Write([]byte(d.Reason))
		b, _ := d.Source.MarshalBinary()
		h.Write(b)
	}
	if j := r.Judged; j != nil { // flow ids begin anew with each daemon
		h.Write([]byte(j.Rule))
	}
	if l := r.L7; l != nil && l.Exchange != nil {
		h.Write(exchangeID(l.Exchange))
	}
	return uuidText(h)
}

// exchangeID is what tells exchanges of one socket apart that began together: a
// resolver may ask for A and AAAA at once.
func exchangeID(x *flow.Exchange) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(x.Operation))
	b = binary.LittleEndian.AppendUint64(b, x.ConnID)
	b = binary.LittleEndian.AppendUint64(b, uint64(x.Latency))
	b = append(b, byte(x.Protocol))
	if x.DNS != nil {
		b = binary.LittleEndian.AppendUint16(b, x.DNS.ID)
	}
	return b
}

func uuidText(h hash.Hash) string {
	var id [16]byte
	h.Sum(id[:0])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant 10
	var out [36]byte
	hex.Encode(out[0:8], id[0:4])
	hex.Encode(out[9:13], id[4:6])
	hex.Encode(out[14:18], id[6:8])
	hex.Encode(out[19:23], id[8:10])
	hex.Encode(out[24:36], id[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

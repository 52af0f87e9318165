package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"

	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// maxBlock bounds a block before it is compressed, in bytes: some times what one is
// closed at.
const maxBlock = 8 << 20

// block is flows as a row of the file has them.
type block struct {
	id          int64
	first, last int64 // times of its flows, ns since the Unix epoch
	flows       int
	keys        []string
	body        []byte
}

// blockMaker writes chunks down with who saw their flows: those are made into messages
// when they are asked for, by another weir perhaps. Its room serves for many.
type blockMaker struct {
	node, version string
	raw, packed   []byte
}

// block is of the records of c that are not spare, of which there must be some.
func (m *blockMaker) block(id int64, c *chunk) (b block, err error) {
	m.raw = appendText(appendText(m.raw[:0], m.node), m.version)
	if m.raw = c.records.Append(m.raw, c.spare); len(m.raw) > maxBlock {
		return b, fmt.Errorf("%d flows of %d bytes are too much for a block", c.kept, len(m.raw))
	}
	b = block{id: id, flows: c.kept, keys: c.keys}
	b.first, b.last = c.records.Times()
	m.packed = s2.Encode(m.packed[:cap(m.packed)], m.raw)
	b.body = binary.LittleEndian.AppendUint32(make([]byte, 0, checksum+len(m.packed)), crc32.Checksum(m.packed, castagnoli))
	b.body = append(b.body, m.packed...)
	return b, nil
}

const checksum = 4 // bytes of it, before what it is of

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errBlock = errors.New("block is damaged")

// unpack gives the records of a body, and who makes messages of them as the weir would
// have that wrote them. The body may be anything.
func unpack(body []byte) (*pack.Batch, *convert.Converter, error) {
	if len(body) < checksum || binary.LittleEndian.Uint32(body) != crc32.Checksum(body[checksum:], castagnoli) {
		return nil, nil, errBlock
	}
	if n, err := s2.DecodedLen(body[checksum:]); err != nil || n > maxBlock {
		return nil, nil, errBlock
	}
	raw, err := s2.Decode(nil, body[checksum:])
	if err != nil {
		return nil, nil, fmt.Errorf("unpack block: %w", err)
	}
	return parse(raw)
}

// parse reads what blockMaker has compressed.
func parse(raw []byte) (*pack.Batch, *convert.Converter, error) {
	node, raw, ok := cutText(raw)
	version, raw, too := cutText(raw)
	if !ok || !too {
		return nil, nil, errBlock
	}
	records, err := pack.Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read block: %w", err)
	}
	return records, convert.New(string(node), string(version)), nil
}

// cutText reads what appendText wrote. The text is a part of b.
func cutText(b []byte) (text, rest []byte, ok bool) {
	n, i := binary.Uvarint(b)
	if i <= 0 || n > uint64(len(b)-i) {
		return nil, nil, false
	}
	return b[i : i+int(n)], b[i+int(n):], true
}

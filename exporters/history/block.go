package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	blockFlows = 256
	maxBlock   = 16 << 20 // bytes of a block, uncompressed: far above what 256 flows take
)

// block is flows that are written together. The zero value is empty.
type block struct {
	raw         []byte // flows, each after its length
	flows       int
	first, last int64
	keys        map[string]struct{}
}

// add appends a flow of a time.
func (b *block) add(at int64, f *flowpb.Flow) error {
	size := proto.Size(f)
	raw, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(protowire.AppendVarint(b.raw, uint64(size)), f)
	if err != nil {
		return fmt.Errorf("keep flow: %w", err) // b.raw is as it was
	}
	b.raw = raw
	if b.flows == 0 {
		b.first, b.last = at, at
	}
	b.first, b.last = min(b.first, at), max(b.last, at)
	b.flows++
	if b.keys == nil {
		b.keys = make(map[string]struct{})
	}
	addKeys(b.keys, f)
	return nil
}

// packed is a block as the file has it.
type packed struct {
	body        []byte
	flows       int
	first, last int64
	keys        []string
}

// pack gives the block and empties it; its room is kept.
func (b *block) pack(c *codec) packed {
	out := packed{c.pack(b.raw), b.flows, b.first, b.last, slices.Collect(maps.Keys(b.keys))}
	clear(b.keys)
	*b = block{raw: b.raw[:0], keys: b.keys}
	return out
}

// codec compresses and reads blocks. It is safe for many goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	// A block is some 100 KiB: a wider window is memory that nothing is found in.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderMaxWindow(4<<20))
	if err != nil {
		return nil, err
	}
	return &codec{enc, dec}, nil
}

func (c *codec) close() {
	c.enc.Close()
	c.dec.Close()
}

func (c *codec) pack(raw []byte) []byte { return c.enc.EncodeAll(raw, nil) }

func (c *codec) unpack(body []byte) ([]*flowpb.Flow, error) {
	raw, err := c.dec.DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack block: %w", err)
	}
	return parseFlows(raw)
}

var errCut = errors.New("block is cut short")

// parseFlows reads what block.add wrote: the format of package protodelim.
func parseFlows(raw []byte) (out []*flowpb.Flow, err error) {
	for len(raw) > 0 {
		size, n := binary.Uvarint(raw)
		if n <= 0 || size > uint64(len(raw)-n) {
			return nil, errCut
		}
		f := new(flowpb.Flow)
		if err := proto.Unmarshal(raw[n:n+int(size)], f); err != nil {
			return nil, fmt.Errorf("read flow of a block: %w", err)
		}
		if out = append(out, f); len(out) > blockFlows {
			return nil, errors.New("block with too many flows")
		}
		raw = raw[n+int(size):]
	}
	return out, nil
}

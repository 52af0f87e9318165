package convert

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/seed79351815/weir/collector/flow"
)

// lent is what Briefly gives, again and again.
type lent struct {
	flow       flowpb.Flow
	extensions anypb.Any
}

// Briefly is Flow and Extend for who writes the flow down at once: it is good until
// the Converter's next call, and must not be changed. It takes a third less memory.
func (c *Converter) Briefly(r *flow.Record) *flowpb.Flow {
	c.lending = true
	defer func() { c.lending = false }()
	out := c.Flow(r)
	x := &c.lent.extensions
	x.TypeUrl, x.Value = structURL, c.extensions(x.Value[:0], r)
	out.Extensions = x
	return out
}

// blank is a flow that says only who tells it.
func (c *Converter) blank() *flowpb.Flow {
	out := &c.lent.flow
	if c.lending {
		out.Reset()
	} else {
		out = new(flowpb.Flow)
	}
	out.Emitter, out.NodeName = c.emitter, c.node
	return out
}

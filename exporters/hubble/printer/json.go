package printer

import (
	"encoding/json"
	"fmt"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/structpb" // so that extensions of this type can be printed

	"github.com/seed79351815/weir/exporters/hubble/internal/jsonpb"
)

// WriteExtended is Write in FormatJSON for a flow whose extensions are JSON already,
// and not in the response.
func (p *Printer) WriteExtended(res *observerpb.GetFlowsResponse, extensions []byte) error {
	return p.json(res, extensions)
}

// json writes res as Hubble's CLI does: as encoding/json has it, which calls the
// generated MarshalJSON (proto names) and takes out its random spaces. Extensions, where
// they are not nil, stand for the flow's.
func (p *Printer) json(res *observerpb.GetFlowsResponse, extensions []byte) error {
	b, ok := p.encode.Append(p.buf[:0], res, extensions)
	if !ok {
		text, err := marshal(res, extensions)
		if err != nil {
			return fmt.Errorf("print flow as JSON: %w", err)
		}
		b = jsonpb.Printable(b[:0], text)
	}
	p.buf = append(b, '\n')
	p.line++
	if _, err := p.o.Out.Write(p.buf); err != nil {
		return fmt.Errorf("print flow: %w", err)
	}
	return nil
}

// marshal is for what is rare.
func marshal(res *observerpb.GetFlowsResponse, extensions []byte) ([]byte, error) {
	if extensions != nil && res.GetFlow() != nil {
		x := &anypb.Any{}
		if err := protojson.Unmarshal(extensions, x); err != nil {
			return nil, err
		}
		res = proto.CloneOf(res)
		res.GetFlow().Extensions = x
	}
	text, err := json.Marshal(res)
	if err != nil && res.GetFlow().GetExtensions() != nil {
		// An extension of a type that is not known here is no reason to show
		// nothing at all.
		res = proto.CloneOf(res)
		res.GetFlow().Extensions = nil
		text, err = json.Marshal(res)
	}
	return text, err
}

package printer

import (
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/proto"
	_ "google.golang.org/protobuf/types/known/structpb" // so that extensions of this type can be printed
)

// json writes res as Hubble's CLI does: by encoding/json, which calls the
// generated MarshalJSON (proto names) and takes out its random spaces.
func (p *Printer) json(res *observerpb.GetFlowsResponse) error {
	text, ok := p.extended(res)
	var err error
	if !ok {
		text, err = json.Marshal(res)
	}
	if err != nil && res.GetFlow().GetExtensions() != nil {
		// An extension of a type that is not known here is no reason to show
		// nothing at all.
		res = proto.CloneOf(res)
		res.GetFlow().Extensions = nil
		text, err = json.Marshal(res)
	}
	if err != nil {
		return fmt.Errorf("print flow as JSON: %w", err)
	}
	p.buf = append(escapeJSON(p.buf, text), '\n')
	p.line++
	if _, err := p.o.Out.Write(p.buf); err != nil {
		return fmt.Errorf("print flow: %w", err)
	}
	return nil
}

// extended writes a flow with weir's own extensions; ok is false for every other
// response. They are most of a flow's text, and written by appendStruct; the rest is
// as encoding/json writes it.
func (p *Printer) extended(res *observerpb.GetFlowsResponse) (text []byte, ok bool) {
	f := res.GetFlow()
	x := f.GetExtensions()
	if x.GetTypeUrl() != structURL || len(x.ProtoReflect().GetUnknown()) > 0 {
		return nil, false
	}
	p.ext, ok = appendStruct(append(p.ext[:0], `"extensions":{"@type":"`+structURL+`","value":`...), x.GetValue(), 0)
	if !ok {
		return nil, false
	}
	p.ext = append(p.ext, '}')
	f.Extensions = nil
	head, err := json.Marshal(f)
	f.Extensions = x
	if err != nil {
		return nil, false
	}
	tail, err := json.Marshal(&observerpb.GetFlowsResponse{NodeName: res.GetNodeName(), Time: res.GetTime()})
	if err != nil {
		return nil, false
	}
	// Each is an object: the extensions become the flow's last field, and the flow the
	// first of what the tail says.
	b := append(append(p.text[:0], `{"flow":`...), head[:len(head)-1]...)
	if len(head) > len("{}") {
		b = append(b, ',')
	}
	b = append(append(b, p.ext...), '}')
	if len(tail) > len("{}") {
		b = append(b, ',')
	}
	p.text = append(b, tail[1:]...)
	return p.text, true
}

// escapeJSON appends text with every character that is not printable escaped.
// JSON itself asks for that below U+0020 only, and there are terminals that
// obey U+009B. Such characters stand in strings only, where \u means the same.
func escapeJSON(b, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < 0x7f {
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case n > 1 && unicode.IsPrint(r):
			b = append(b, text[i:i+n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	return b
}

package convert

import (
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/internal/jsonpb"
)

// AppendExtensions appends the JSON of the extensions that Extend would give out, for
// who would make it of them at once.
func (c *Converter) AppendExtensions(b []byte, r *flow.Record) []byte {
	b = append(b, `{"@type":"`+structURL+`","value":{`...)
	return append(c.extensions(b, true, r), "}}"...)
}

// key begins a field of an object's JSON.
func (o *object) key(key string) {
	if o.b[len(o.b)-1] == '{' {
		o.b = append(o.b, '"')
	} else {
		o.b = append(o.b, ',', '"')
	}
	o.b = append(append(o.b, key...), '"', ':')
}

// quoted writes a string's JSON.
func (o *object) quoted(s string) {
	n := len(o.b)
	var ok bool
	if o.b, ok = jsonpb.AppendText(o.b, s); !ok {
		o.b, _ = jsonpb.AppendText(o.b[:n], valid(s))
	}
}

// inner is object's JSON.
func (o *object) inner(key string, keep bool, write func(*object)) {
	begin := len(o.b)
	o.key(key)
	o.b = append(o.b, '{')
	n := len(o.b)
	if write(o); len(o.b) == n && !keep {
		o.b = o.b[:begin]
		return
	}
	o.b = append(o.b, '}')
}

// list is a list's JSON.
func (o *object) list(key string, texts []string) {
	o.key(key)
	for i, s := range texts {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.quoted(s)
	}
	o.b = append(o.b, ']')
}

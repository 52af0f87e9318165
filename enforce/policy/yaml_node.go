package policy

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// object builds a mapping in the order of its puts.
type object struct{ node *yaml.Node }

func newObject() object { return object{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

// put adds a field; nothing for a nil node.
func (o object) put(key string, v *yaml.Node) object {
	if v != nil {
		o.node.Content = append(o.node.Content, textNode(key), v)
	}
	return o
}

// text adds a field that is not empty.
func (o object) text(key, value string) object {
	if value == "" {
		return o
	}
	return o.put(key, textNode(value))
}

// textNode is quoted by the encoder where YAML would read something else.
func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func boolNode(b *bool) *yaml.Node {
	if b == nil {
		return nil
	}
	v := "false"
	if *b {
		v = "true"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: v}
}

func intNode(n uint16) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: decimal(n)}
}

// listNode is nil for a nil list and "[]" for an empty one.
func listNode[T any](all []T, one func(T) *yaml.Node) *yaml.Node {
	if all == nil {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, a := range all {
		n.Content = append(n.Content, one(a))
	}
	return n
}

// someNode is listNode but nil also for an empty list: where both mean the same.
func someNode[T any](all []T, one func(T) *yaml.Node) *yaml.Node {
	if len(all) == 0 {
		return nil
	}
	return listNode(all, one)
}

func stringerNode[T interface{ String() string }](v T) *yaml.Node { return textNode(v.String()) }

func mapNode(m map[string]string) *yaml.Node {
	if len(m) == 0 {
		return nil
	}
	o := newObject()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		o.put(k, textNode(m[k]))
	}
	return o.node
}

// comment makes comment lines of hostile text.
func comment(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		l = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
				return ' '
			}
			return r
		}, l)
		b.WriteString(strings.TrimRight("# "+l, " ") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func encode(n *yaml.Node) []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		panic("encode policy: " + err.Error()) // nodes made here are well-formed, and a buffer takes them
	}
	return b.Bytes()
}

package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file. The largest sensible one is a page.
const maxFile = 1 << 20

// Entry is one setting of a file.
type Entry struct {
	Key       string
	Values    []string // one, unless List
	List      bool
	Line, Col int // of the key
	valueLine int
	valueCol  int
}

// Error is a fault in a configuration file, with its place.
type Error struct {
	File      string
	Line, Col int
	Text      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Text)
}

// ReadFile reads and parses a file. found is false when there is none, which is
// no error here.
func ReadFile(path string) (entries []Entry, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, true, fmt.Errorf("read configuration: %w", err)
	}
	entries, err = Parse(path, data)
	return entries, true, err
}

// Parse reads a YAML mapping of settings to scalars or lists of scalars. It is
// strict: what is not that, or stands there twice, is an *Error.
func Parse(name string, data []byte) ([]Entry, error) {
	if len(data) > maxFile {
		return nil, &Error{name, 1, 1, fmt.Sprintf("the file is larger than %d bytes", maxFile)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(name, err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, at(name, &more, "a second document: only one is read")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(name, err)
	}
	return mapping(name, doc.Content[0])
}

func at(name string, n *yaml.Node, format string, args ...any) *Error {
	return &Error{name, max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)}
}

// syntaxError takes the line out of yaml's text, which is all it gives.
func syntaxError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if _, e := fmt.Sscanf(text, "line %d:", &line); e == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return &Error{name, line, 1, text}
}

func mapping(name string, n *yaml.Node) ([]Entry, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, nil // only comments
	}
	if n.Kind != yaml.MappingNode {
		return nil, at(name, n, "expected settings, one \"name: value\" a line")
	}
	first := map[string]int{}
	var entries []Entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			return nil, at(name, k, "a setting's name must be plain text")
		}
		if line, twice := first[k.Value]; twice {
			return nil, at(name, k, "%q is set twice, first in line %d", k.Value, line)
		}
		first[k.Value] = k.Line
		e := Entry{Key: k.Value, Line: k.Line, Col: k.Column, valueLine: v.Line, valueCol: v.Column}
		if err := e.value(name, v); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (e *Entry) value(name string, v *yaml.Node) error {
	nodes := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		e.List, nodes = true, v.Content
	}
	for _, n := range nodes {
		if n.Kind != yaml.ScalarNode {
			return at(name, n, "%q must be a value or a list of values", e.Key)
		}
		if n.Tag == "!!null" && n.Value != "" {
			return at(name, n, "%q has no value; write \"\" for an empty one", e.Key)
		}
		e.Values = append(e.Values, n.Value)
	}
	return nil
}

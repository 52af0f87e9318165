package hubble

import (
	"fmt"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// mask is a request's field mask as a tree of field names. A name without
// children stands for the whole field. nil lets everything through.
type mask struct{ fields map[protoreflect.Name]*mask }

func newMask(fm *fieldmaskpb.FieldMask) (*mask, error) {
	if len(fm.GetPaths()) == 0 {
		return nil, nil
	}
	root := &mask{}
	for _, path := range fm.GetPaths() {
		if _, err := fieldmaskpb.New(&flowpb.Flow{}, path); err != nil {
			return nil, fmt.Errorf("field mask: no field %q", path)
		}
		root.add(strings.Split(path, "."))
	}
	return root, nil
}

// add puts a path into the tree. A path that is a prefix of others covers them.
func (m *mask) add(path []string) {
	if m.fields == nil {
		m.fields = make(map[protoreflect.Name]*mask)
	}
	name := protoreflect.Name(path[0])
	child, known := m.fields[name]
	switch {
	case len(path) == 1:
		m.fields[name] = nil
	case known && child == nil: // already whole
	default:
		if child == nil {
			child = &mask{}
			m.fields[name] = child
		}
		child.add(path[1:])
	}
}

// wants tells whether a top-level field is let through, in whole or in part.
func (m *mask) wants(name protoreflect.Name) bool {
	if m == nil {
		return true
	}
	_, ok := m.fields[name]
	return ok
}

// apply clears what the mask does not name.
func (m *mask) apply(f *flowpb.Flow) {
	if m != nil {
		m.prune(f.ProtoReflect())
	}
}

func (m *mask) prune(msg protoreflect.Message) {
	msg.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		child, ok := m.fields[fd.Name()]
		switch {
		case !ok:
			msg.Clear(fd)
		case child != nil:
			child.prune(v.Message())
		}
		return true
	})
}

package baseline

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Key names a workload over restarts and for all of its replicas. Its strings
// come from outside: they are valid UTF-8 and bounded, but may hold any
// characters. It can be compared.
type Key struct {
	Kind      string // of the owner: ComposeService, Deployment, Unit, Container, Host, …
	Namespace string
	Name      string // of the owner
}

// KeyOf is the key of a workload; ok is false for one whose name is not known, or
// not known yet, so that it cannot be told from others.
func KeyOf(w *flow.Workload) (k Key, ok bool) {
	if w == nil || w.Pending || w.Runtime == flow.RuntimeWorld {
		return Key{}, false
	}
	if w.Runtime == flow.RuntimeCgroup && w.Cgroup == "" {
		return Key{}, false // nothing but a number
	}
	k = Key{
		Kind:      clean(cmp.Or(w.Owner.Kind, string(w.Runtime))),
		Namespace: clean(w.Namespace),
		Name:      clean(cmp.Or(w.Owner.Name, w.Name)),
	}
	return k, k.Name != ""
}

// String is "namespace/name", or the name alone. Two keys may have the same: one
// of a unit and one of a container, for example.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// Compare orders keys by namespace, name and kind.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name), cmp.Compare(k.Kind, o.Kind))
}

// MarshalText is "kind/namespace/name", each escaped as in a URL.
func (k Key) MarshalText() ([]byte, error) {
	return []byte(url.PathEscape(k.Kind) + "/" + url.PathEscape(k.Namespace) + "/" + url.PathEscape(k.Name)), nil
}

// UnmarshalText is the inverse of MarshalText.
func (k *Key) UnmarshalText(b []byte) error {
	parts, err := unescape(string(b), 3)
	if err != nil {
		return fmt.Errorf("workload %w", err)
	}
	*k = Key{parts[0], parts[1], parts[2]}
	if k.Kind == "" || k.Name == "" {
		return fmt.Errorf("workload %q: kind and name must not be empty", b)
	}
	return nil
}

// unescape splits a text into n parts that url.PathEscape has made.
func unescape(s string, n int) ([]string, error) {
	parts := strings.Split(s, "/")
	if len(parts) != n {
		return nil, fmt.Errorf("%q: expected %d parts, each before a slash", s, n)
	}
	for i, p := range parts {
		raw, err := url.PathUnescape(p)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		if clean(raw) != raw {
			return nil, fmt.Errorf("%q: part %d is too long or no text", s, i+1)
		}
		parts[i] = raw
	}
	return parts, nil
}

// maxText bounds every string that is kept, in bytes.
const maxText = 1024

// clean makes s fit to be kept: valid UTF-8 and not too long.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}

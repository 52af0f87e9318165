package enforce

import (
	"errors"
	"fmt"
	"strings"
)

// UnknownError says that there is no policy of that name.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("policy %q: there is none of that name; `weir policy list` shows those that there are", e.Name)
}

// AmbiguousError says that a name without its namespace is that of several.
type AmbiguousError struct{ Name, First, Second string }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("policy %q: it is %q or %q; write the whole name", e.Name, e.First, e.Second)
}

// DeniesError says that enforcing would deny what audit still sees.
type DeniesError struct {
	Name  string
	Lines []string // what would be denied, most frequent first
	Count uint64
}

func (e *DeniesError) Error() string {
	return fmt.Sprintf("policy %q: audit has seen %d attempts that it would deny; allow them, or enforce it with --force:\n  %s",
		e.Name, e.Count, strings.Join(e.Lines, "\n  "))
}

// ErrNothingBefore says that there is nothing to go back to.
var ErrNothingBefore = errors.New("there is no earlier revision")

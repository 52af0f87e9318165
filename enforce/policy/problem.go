package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Col count from 1; Line is 0 where a policy
// was not read from a file.
type Pos struct {
	File      string
	Line, Col int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Severity tells what must be mended from what should be known.
type Severity uint8

// Nothing is applied while there is an Error.
const (
	Warning Severity = iota
	Error
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Problem is something wrong, or doubtful, with a policy.
type Problem struct {
	Severity Severity
	Pos      Pos
	Policy   string // "namespace/name"; empty where none is known yet
	Text     string
	Unread   bool // the file could not be read: what is in it is not known

	onWorkloads bool // would be none with other workloads
}

// String is `web.yaml:14:7: unknown field "metod"; did you mean "method"?`, with
// "warning: " before the text of a warning.
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	} else if p.Policy != "" {
		b.WriteString(p.Policy + ": ")
	}
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is a list of them, by place. As an error it shows all, a line each.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil where no problem is an Error, else those that are.
func (p Problems) Err() error {
	var errs Problems
	for _, one := range p {
		if one.Severity == Error {
			errs = append(errs, one)
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
	})
}

package filter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// fqdns takes globs: "*" stands for any run of the characters of a name, dots
// included.
func fqdns(list []string, get func(*flowpb.Flow) []string) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	globs := make([]string, len(list))
	for i, s := range list {
		g, err := glob(s)
		if err != nil {
			return nil, err
		}
		globs[i] = g
	}
	re, err := regexp.Compile(`\A(?:` + strings.Join(globs, "|") + `)\z`)
	if err != nil {
		return nil, err
	}
	return func(f *flowpb.Flow) bool { return slices.ContainsFunc(get(f), re.MatchString) }, nil
}

// defaultCluster is what Cilium calls a cluster without a name.
const defaultCluster = "default"

// nodeNames takes globs "[cluster/]node", each part of which may be empty.
func nodeNames(list []string) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	const anyName = `(?:[-0-9_a-z]+(?:\.[-0-9_a-z]+)*)`
	globs := make([]string, len(list))
	for i, s := range list {
		if s == "" {
			return nil, errors.New("an empty name")
		}
		parts := strings.Split(s, "/")
		if len(parts) == 1 {
			parts = []string{"", s}
		}
		if len(parts) > 2 {
			return nil, fmt.Errorf("%q has more than one slash", s)
		}
		for j, p := range parts {
			g := anyName
			if p != "" {
				var err error
				if g, err = glob(p); err != nil {
					return nil, err
				}
			}
			parts[j] = g
		}
		globs[i] = parts[0] + "/" + parts[1]
	}
	re, err := regexp.Compile(`\A(?:` + strings.Join(globs, "|") + `)\z`)
	if err != nil {
		return nil, err
	}
	return func(f *flowpb.Flow) bool {
		name := strings.ToLower(f.GetNodeName())
		if name == "" {
			return false
		}
		if !strings.Contains(name, "/") {
			name = defaultCluster + "/" + name
		}
		return re.MatchString(name)
	}, nil
}

// glob is a name pattern as a regular expression.
func glob(s string) (string, error) {
	p := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if p == "" || strings.HasSuffix(p, ".") {
		return "", fmt.Errorf("%q is no name", s)
	}
	var b strings.Builder
	for _, r := range p {
		switch {
		case r == '.':
			b.WriteString(`\.`)
		case r == '*':
			b.WriteString(`[-._0-9a-z]*`)
		case r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z':
			b.WriteRune(r)
		default:
			return "", fmt.Errorf("%q: no name holds %q", s, r)
		}
	}
	return b.String(), nil
}

func dnsQueries(list []string) (Match, error) {
	res, err := expressions(list)
	if len(list) == 0 || err != nil {
		return nil, err
	}
	return func(f *flowpb.Flow) bool {
		dns := f.GetL7().GetDns()
		return dns != nil && matchAny(res, dns.GetQuery())
	}, nil
}

// expressions compiles RE2 expressions, whose cost is linear in the input.
func expressions(list []string) ([]*regexp.Regexp, error) {
	out := make([]*regexp.Regexp, len(list))
	for i, s := range list {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, err
		}
		out[i] = re
	}
	return out, nil
}

func matchAny(res []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(res, func(re *regexp.Regexp) bool { return re.MatchString(s) })
}

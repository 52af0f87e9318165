package policy

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	validFQDN    = regexp.MustCompile(`^[-a-z0-9_]+([.][-a-z0-9_]+)*$`).MatchString
	validPattern = regexp.MustCompile(`^[-a-z0-9_*]+([.][-a-z0-9_*]+)*$`).MatchString
)

const maxFQDN = 255

func decimal(n uint16) string { return strconv.Itoa(int(n)) }

func (d *decoder) fqdn(n *yaml.Node) FQDN {
	var f FQDN
	name := func(to *string, what, chars string, valid func(string) bool) func(*yaml.Node) {
		return func(v *yaml.Node) {
			s := d.text(v, what)
			*to = strings.TrimSuffix(strings.ToLower(s), ".")
			if len(*to) > maxFQDN || !valid(*to) {
				d.errorf(v, "%s %q is no DNS name: labels of letters, digits, \"-\"%s and \"_\", with dots between them", what, s, chars)
			}
		}
	}
	isObject := d.object(n, "a DNS name", fields{
		"matchName":    name(&f.Name, "matchName", "", validFQDN),
		"matchPattern": name(&f.Pattern, "matchPattern", `, "*"`, validPattern),
	}, nil)
	switch {
	case !isObject:
	case f.Name != "" && f.Pattern != "":
		d.errorf(n, "matchName and matchPattern: only one of them is allowed")
	case f.Name == "" && f.Pattern == "":
		d.errorf(n, "no matchName and no matchPattern")
	}
	return f
}

// IsName tells whether matchName takes a name as it is.
func IsName(name string) bool { return len(name) <= maxFQDN && validFQDN(name) }

// pattern is the one form that the tables know.
func (f FQDN) pattern() string {
	if f.Pattern != "" {
		return f.Pattern
	}
	return f.Name
}

// serverName reads a TLS server name, which has the syntax of matchPattern.
func (d *decoder) serverName(n *yaml.Node) string {
	s := strings.ToLower(d.text(n, "a server name"))
	if len(s) > maxFQDN || !validPattern(s) {
		d.errorf(n, "server name %q is no DNS name", s)
	}
	return s
}

// Matches tells whether a DNS name matches the pattern, as Cilium does it: "*"
// stands for any characters of one label, "**." in front for one label or more,
// a pattern of nothing but stars for every name. Case and a final dot of name
// do not matter. It takes time in proportion to the product of both lengths.
func (n Name) Matches(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if !IsName(name) {
		return false
	}
	pattern := n.Pattern
	if strings.Trim(pattern, "*") == "" {
		return pattern != ""
	}
	if stars, rest, ok := strings.Cut(pattern, "."); ok && len(stars) >= 2 && strings.Trim(stars, "*") == "" {
		for at := strings.IndexByte(name, '.'); at >= 0; {
			if name = name[at+1:]; glob(rest, name) {
				return true
			}
			at = strings.IndexByte(name, '.')
		}
		return false
	}
	return glob(pattern, name)
}

// glob matches where "*" stands for anything but a dot. The last star is the
// only one that is ever tried again: what an earlier one took does not matter.
// A dot ends its reach, and the pattern's dots are the name's.
func glob(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			if name[n] == '.' {
				star = -1
			}
			p, n = p+1, n+1
		case star >= 0 && name[mark] != '.':
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

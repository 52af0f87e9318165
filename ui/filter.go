package ui

import (
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed79351815/weir/collector/spelling"
)

// maxFilter bounds what is typed or given as a filter, and so what a regular
// expression may cost.
const maxFilter = 256

// filter selects rows: all its terms must hold. The zero filter selects every
// row. It is immutable once parsed.
type filter struct {
	source string
	terms  []term
}

// term is one word of a filter. What of want, re, ports, words and prefix counts
// goes by field.
type term struct {
	field  string // a key of filterFields; empty for a plain word
	not    bool
	want   string // lower case
	re     *regexp.Regexp
	ports  []portRange  // of status: numbers
	words  []string     // of method: and status:
	prefix netip.Prefix // of ip:, when it is whole; else want is its beginning
}

type portRange struct{ from, to uint16 }

// subject is what a filter's word may be said of.
type subject uint8

const (
	ofWorkload  subject = 1 << iota
	ofFlow              // among workloads it selects those that have such a flow
	ofOperation         // among workloads it selects those that ask or are asked so
	ofVerdict           // among workloads it selects those at an end of such a verdict
	ofPolicy
)

// filterField is one prefix of the filter's grammar.
type filterField struct {
	name string
	what string // for the help and for errors
	of   subject
}

// filterFields is the grammar's table: help and errors are made of it.
var filterFields = []filterField{
	{"port", "a port of either end: 80, 80,443 or 8000-8999", ofFlow | ofVerdict},
	{"ip", "an address of either end: 10.0.0.7, 10.0.0.0/8 or its beginning", ofFlow | ofVerdict},
	{"src", "the client: part of its name, address or command", ofFlow | ofOperation | ofVerdict},
	{"dst", "the server: part of its name, address or command", ofFlow | ofOperation | ofVerdict},
	{"proto", "the protocol: tcp, udp, icmp or its number", ofFlow | ofVerdict},
	{"process", "part of a command's name, or a whole process id", ofFlow | ofVerdict},
	{"state", "live, ended, failed, or how it ended: closed, refused, timed-out, …", ofFlow},
	{"protocol", "what is spoken: http, dns or tls", ofOperation},
	{"method", "the HTTP method or the DNS type: get or post,put", ofOperation},
	{"path", "part of an HTTP path, a DNS name or a TLS server name", ofOperation},
	{"status", "an outcome: 404, 5xx, 400-499, nxdomain, no_answer, error", ofOperation},
	{"policy", "part of a policy's name", ofVerdict | ofPolicy},
	{"mode", "what a policy does, or did: audit or enforce", ofVerdict | ofPolicy},
	{"container", "part of a container's name, id or image", ofWorkload | ofFlow | ofOperation | ofVerdict},
	{"ns", "part of a namespace: Kubernetes, Compose project, …", ofWorkload | ofFlow | ofOperation | ofVerdict},
}

func fieldOf(name string) (filterField, bool) {
	for _, f := range filterFields {
		if f.name == name {
			return f, true
		}
	}
	return filterField{}, false
}

func (f *filter) empty() bool { return f == nil || len(f.terms) == 0 }

// String is the filter as it was typed.
func (f *filter) String() string {
	if f == nil {
		return ""
	}
	return f.source
}

// parseFilter reads a filter: words that must all hold, each a substring, a
// /regular expression/ or prefix:value, each negated by a leading "!". Its
// errors are for the one who types.
func parseFilter(s string) (*filter, error) {
	if len(s) > maxFilter {
		return nil, fmt.Errorf("filter: longer than %d bytes", maxFilter)
	}
	f := &filter{source: strings.TrimSpace(s)}
	for rest := f.source; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		t := term{}
		if rest[0] == '!' {
			t.not = true
			rest = rest[1:]
		}
		var err error
		if strings.HasPrefix(rest, "/") {
			rest, err = t.parseRegexp(rest[1:])
		} else {
			word := rest
			if i := strings.IndexAny(rest, " \t"); i >= 0 {
				word = rest[:i]
			}
			rest = rest[len(word):]
			err = t.parseWord(word)
		}
		if err != nil {
			return nil, err
		}
		f.terms = append(f.terms, t)
	}
	return f, nil
}

// parseRegexp reads up to the closing slash, which must not be escaped.
func (t *term) parseRegexp(s string) (rest string, err error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '/':
			if t.re, err = compileLower(strings.ReplaceAll(s[:i], `\/`, "/")); err != nil {
				return "", fmt.Errorf("/%s/: %w", s[:i], err)
			}
			return s[i+1:], nil
		}
	}
	return "", fmt.Errorf("/%s: the closing / is missing", s)
}

// compileLower compiles an expression that is to find what it says, in any
// case, in lines of lower-case text. Its literals are lowered instead of being
// matched in both cases: that is several times as fast.
func compileLower(expr string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(expr, syntax.Perl&^syntax.OneLine|syntax.FoldCase)
	if err != nil {
		return nil, err
	}
	lowerLiterals(tree)
	return regexp.Compile(tree.String())
}

func lowerLiterals(re *syntax.Regexp) {
	if re.Op == syntax.OpLiteral {
		re.Flags &^= syntax.FoldCase
		for i, r := range re.Rune {
			re.Rune[i] = unicode.ToLower(r)
		}
	}
	for _, sub := range re.Sub {
		lowerLiterals(sub)
	}
}

func (t *term) parseWord(word string) error {
	if word == "" {
		return fmt.Errorf("!: a word must follow")
	}
	name, value, found := strings.Cut(word, ":")
	name = strings.ToLower(name)
	field, known := fieldOf(name)
	if !found || !known {
		if found {
			if near := spelling.Nearest(name, fieldNames()); near != "" {
				return fmt.Errorf("%s: no such prefix; did you mean %s:?", name, near)
			}
		}
		t.want = strings.ToLower(word)
		return nil
	}
	t.field, t.want = name, strings.ToLower(value)
	if value == "" {
		return fmt.Errorf("%s: %s", name, field.what)
	}
	var err error
	switch name {
	case "port":
		t.ports, err = parsePorts(value)
	case "ip":
		err = t.parseIP()
	case "protocol":
		err = t.parseProtocol()
	case "method":
		t.words = strings.Split(t.want, ",")
	case "status":
		t.parseStatus()
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not %s", name, value, field.what)
	}
	return nil
}

func parsePorts(s string) (out []portRange, err error) {
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, err
		}
		to := from
		if isRange {
			if to, err = strconv.ParseUint(high, 10, 16); err != nil {
				return nil, err
			}
		}
		if to < from {
			return nil, strconv.ErrRange
		}
		out = append(out, portRange{uint16(from), uint16(to)})
	}
	return out, nil
}

// parseIP takes an address or a prefix; the beginning of an address selects by
// text, so that a filter narrows while it is typed.
func (t *term) parseIP() error {
	if p, err := netip.ParsePrefix(t.want); err == nil {
		t.prefix = p.Masked()
		return nil
	}
	if a, err := netip.ParseAddr(t.want); err == nil {
		a = a.Unmap().WithZone("")
		t.prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	if strings.Trim(t.want, "0123456789abcdef.:") != "" {
		return strconv.ErrSyntax
	}
	return nil
}

func fieldNames() (out []string) {
	for _, f := range filterFields {
		out = append(out, f.name)
	}
	return out
}

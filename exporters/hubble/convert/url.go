package convert

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed79351815/weir/collector/flow"
)

// requestURL is the URL of a request to server, without the query, of which
// nothing is kept; empty where the path was not kept either. The host is the
// server's DNS name, else its address: weir does not keep the Host header. What
// a URL cannot hold is escaped, so that the path is always one that Hubble's
// filters can parse.
func requestURL(server *flow.Endpoint, h *flow.HTTPExchange) string {
	switch {
	case h.Path == "":
		return ""
	case h.Method == "CONNECT" && plainHost(h.Path):
		return "http://" + h.Path
	}
	path := escapePath(h.Path)
	if path[0] != '/' { // OPTIONS *
		path = "/" + path
	}
	host := hostOf(server)
	if host == "" {
		return path
	}
	return "http://" + host + path
}

// hostOf is a server's name or address, with the port where it is not HTTP's.
func hostOf(e *flow.Endpoint) string {
	addr := e.Addr.Addr().WithZone("")
	host := ""
	if addr.IsValid() {
		host = addr.String()
		if addr.Is6() {
			host = "[" + host + "]"
		}
	}
	for _, n := range e.Names {
		if plainHost(n) && !strings.Contains(n, ":") {
			host = n
			break
		}
	}
	if host == "" || e.Addr.Port() == 80 || e.Addr == (netip.AddrPort{}) {
		return host
	}
	return host + ":" + strconv.Itoa(int(e.Addr.Port()))
}

// plainHost tells whether s, which comes from a peer, is made as a name or a
// name with a port is.
func plainHost(s string) bool {
	name, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
	}
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// escapePath escapes what cannot stand in a URL's path or is not printable, and
// percent signs that escape nothing.
func escapePath(s string) string {
	const digits = "0123456789ABCDEF"
	var b []byte
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case pathRune(s[i:], r, n):
			if b != nil {
				b = append(b, s[i:i+n]...)
			}
		default:
			if b == nil {
				b = append(make([]byte, 0, len(s)+32), s[:i]...)
			}
			for _, c := range []byte(s[i : i+n]) {
				b = append(b, '%', digits[c>>4], digits[c&15])
			}
		}
		i += n
	}
	if b == nil {
		return s
	}
	return string(b)
}

// pathRune tells whether r, of n bytes, which s begins with, can stay as it is.
func pathRune(s string, r rune, n int) bool {
	switch {
	case r == '%':
		return len(s) > 2 && hexDigit(s[1]) && hexDigit(s[2])
	case r == utf8.RuneError && n == 1:
		return false
	case r == ' ' || !unicode.IsPrint(r):
		return false
	}
	return !strings.ContainsRune(`"<>\^|?#`+"`", r)
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

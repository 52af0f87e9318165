package identity

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const maxProcNet = 1 << 20

// netnsAddrs gives the addresses of a process's network namespace, as /proc has
// them; nil when it is the host's namespace. It serves containers whose runtime
// does not tell.
func netnsAddrs(proc string, pid uint32) []netip.Addr {
	if pid == 0 {
		return nil
	}
	dir := filepath.Join(proc, strconv.FormatUint(uint64(pid), 10))
	host, err := os.Readlink(filepath.Join(proc, "self/ns/net")) // that of pid 1 may be hidden from root even
	if err != nil {
		return nil
	}
	if ns, err := os.Readlink(filepath.Join(dir, "ns/net")); err != nil || ns == host {
		return nil
	}
	var out []netip.Addr
	if b, err := readBounded(filepath.Join(dir, "net/fib_trie"), maxProcNet); err == nil {
		out = append(out, parseFibTrie(b)...)
	}
	if b, err := readBounded(filepath.Join(dir, "net/if_inet6"), maxProcNet); err == nil {
		out = append(out, parseIfInet6(b)...)
	}
	return boundAddrs(out)
}

// parseFibTrie finds the local addresses in the kernel's picture of the IPv4
// routing table: an address is local when the line after it says "host LOCAL".
func parseFibTrie(b []byte) []netip.Addr {
	var out []netip.Addr
	var last netip.Addr
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		if rest, ok := strings.CutPrefix(s, "|-- "); ok {
			last, _ = netip.ParseAddr(rest)
		} else if strings.HasSuffix(s, "/32 host LOCAL") && last.IsValid() {
			out = append(out, last)
		}
	}
	return out
}

// parseIfInet6 reads the addresses: each line begins with one in 32 hex digits.
func parseIfInet6(b []byte) []netip.Addr {
	var out []netip.Addr
	for line := range bytes.Lines(b) {
		var a [16]byte
		if len(line) < 32 {
			continue
		}
		if _, err := hex.Decode(a[:], line[:32]); err == nil {
			out = append(out, netip.AddrFrom16(a))
		}
	}
	return out
}

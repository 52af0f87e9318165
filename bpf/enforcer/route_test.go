package enforcer

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// A packet with a source route goes first to somebody whom its socket does not
// name.
func TestSourceRoutesAreNoWayRound(t *testing.T) {
	w := newTown(t, "client", "server", "hop")
	server, hop := w.hosts["server"], w.hosts["hop"]
	// The hop sends on what it gets, which shows at the server.
	for _, h := range []*lab.Host{hop, server} {
		if err := h.Run(func() error {
			var err error
			for _, name := range []string{"conf/all/accept_source_route", "conf/eth0/accept_source_route", "ip_forward"} {
				err = errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte("1"), 0))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []struct {
		way      role.Way
		to, by   netip.Addr
		seen     *lab.Host
		protocol int
		family   string
		refused  string
	}{
		{role.SourceRoute, server.V4, hop.V4, server, tcp, "0.0.0.0:0", "timeout"},
		{role.SourceRoute6, server.V6, hop.V6, hop, 43, "[::]:0", "denied"},
	} {
		send := func() (failed string, seen uint64) {
			p := v.seen.Play(role.Spec{Role: role.RawServer, Address: v.family, Count: v.protocol})
			r := w.hosts["client"].Account(role.Spec{Role: role.Sneak, Way: v.way,
				Address: netip.AddrPortFrom(v.to, 99).String(), Path: netip.AddrPortFrom(v.by, 99).String()})
			for reason := range r.Failed {
				failed = reason
			}
			return failed, p.Stop().Received
		}
		w.apply(nil)
		if err := w.Off(); err != nil {
			t.Fatal(err)
		}
		if failed, seen := send(); seen == 0 {
			t.Errorf("%s without policies: %q, and nothing arrived", v.way, failed)
		}
		w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), 0, 0, policy.Allow)}}})
		if failed, seen := send(); failed != v.refused || seen != 0 {
			t.Errorf("%s: %q, want %q; %d bytes arrived", v.way, failed, v.refused, seen)
		}
	}
}

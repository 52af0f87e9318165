package lab

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/seed79351815/weir/bpf/lab/role"
)

// A real socket takes what a peer forges well, and nothing else of it.
func TestForgedPeer(t *testing.T) {
	h := New(t).Host("real")
	w := h.Wire()
	path := filepath.Join(t.TempDir(), "script")
	err := role.WriteScript(path, role.Script{Parts: []role.Part{{Turns: []role.Turn{{After: 10, Say: []byte("answer")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	server := h.Play(role.Spec{Role: role.ScriptServer, Address: Listen(0), Path: path})
	for n, v6 := range []bool{false, true} {
		from, to := PeerV4(n), h.V4
		if v6 {
			from, to = PeerV6(n), h.V6
		}
		p, err := w.Dial(role.PartAddr(from, 0), netip.AddrPortFrom(to, server.Addr.Port()), false)
		if err == nil {
			err = p.Asleep(0)
		}
		if err != nil {
			t.Fatal(err)
		}
		for what, s := range map[string]Segment{
			"bad checksum": {BadChecksum: true}, "old timestamp": {Old: true}, "no ACK": {NoACK: true}, "ACK of nothing": {AckAhead: true},
			"far ahead": {At: 1 << 30}, "out of order": {At: 8},
		} {
			s.Data = []byte("xx")
			if err := p.Send(s); err != nil {
				t.Fatal(err)
			}
			if err := p.Asleep(0); err != nil { // it answers what it got before
				t.Fatal(err)
			}
			if taken, _ := p.Room(); taken > 0 {
				t.Errorf("IPv6 %v, %s: %d bytes were taken", v6, what, taken)
			}
		}
		if err := p.Send(Segment{At: 4, Data: []byte("4567")}, Segment{Data: []byte("01234")}, Segment{Data: []byte("01234")}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Received(6); err != nil || string(got) != "answer" {
			t.Errorf("IPv6 %v: %q, %v", v6, got, err)
		}
		if err := p.Send(Segment{At: 10, FIN: true}); err != nil {
			t.Fatal(err)
		}
		if err := p.Ended(); err != nil {
			t.Error(err)
		}
	}
	if r := server.Stop(); r.Conns != 2 || r.Received != 20 || r.Sent != 12 || len(r.Failed) > 0 {
		t.Errorf("the server's account: %+v", r)
	}
}

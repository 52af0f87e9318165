package bpf

import (
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7/ja4"
)

// printed is what openssl's client says of a handshake.
type printed struct {
	asked, answered uint64 // bytes, up to the end of the last hello, or of the alert
	status          uint16
	flow.TLSHandshake
}

var (
	printedMessage = regexp.MustCompile(`^(>>>|<<<) .*?, (RecordHeader|Handshake|Alert|ChangeCipherSpec) \[length ([0-9a-f]+)\](?:, (\w+))?`)
	printedSession = regexp.MustCompile(`(?m)^(New|Reused), (TLSv\S+), Cipher is (\S+)$`)
	printedALPN    = regexp.MustCompile(`(?m)^ALPN protocol: (\S+)$`)
)

var printedVersions = map[string]uint16{"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

// listen reads openssl's account of the messages, to where a handshake is decided.
func listen(t *testing.T, out string) (p printed) {
	t.Helper()
	var sent, received uint64
	lines := strings.Split(out, "\n")
	decided := false
	for i := 0; i < len(lines) && !decided; i++ {
		m := printedMessage.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		var raw []byte
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "    ") {
			i++
			b, err := hex.DecodeString(strings.ReplaceAll(lines[i], " ", ""))
			if err != nil {
				t.Fatalf("%q: %v", lines[i], err)
			}
			raw = append(raw, b...)
		}
		if n := number(t, m[3], 16); int(n) != len(raw) {
			t.Fatalf("%q: %d bytes", m[0], len(raw))
		}
		switch {
		case m[1] == ">>>":
			sent += uint64(len(raw))
		case m[2] == "RecordHeader" && raw[0] == 20:
			received += 5 + 1 // it does not print the content
		case m[2] != "ChangeCipherSpec":
			received += uint64(len(raw))
		}
		switch {
		case m[4] == "ClientHello":
			p.asked = sent
			if p.JA4 == "" {
				p.hello(t, raw)
			}
		case m[4] == "ServerHello":
			p.answered = received
			decided = p.answer(raw)
		case m[2] == "Alert" && m[1] == "<<<":
			p.answered, p.status, p.Alert, decided = received, uint16(raw[1]), raw[1], true
		}
	}
	if m := printedSession.FindStringSubmatch(out); m != nil && p.Cipher != 0 {
		p.Version, p.Resumed = printedVersions[m[2]], m[1] == "Reused"
	}
	if m := printedALPN.FindStringSubmatch(out); m != nil && p.Version < 0x0304 {
		p.Chosen = m[1]
	}
	return p
}

func (p *printed) hello(t *testing.T, message []byte) {
	var h ja4.Hello
	if err := h.Parse(message); err != nil {
		t.Fatal(err)
	}
	p.JA4, p.Version = h.Fingerprint(), h.Version
}

// answer reads a ServerHello; false for a HelloRetryRequest.
func (p *printed) answer(message []byte) bool {
	if binary.BigEndian.Uint32(message[6:]) == 0xcf21ad74 {
		return false
	}
	p.Cipher = binary.BigEndian.Uint16(message[39+message[38]:])
	return true
}

func TestTLSOfOpenSSL(t *testing.T) {
	x := newTLSLab(t)
	servers := map[int][]string{
		443:  {"-alpn", "h2,http/1.1"},
		1443: {"-tls1_3"},
		2443: {"-groups", "P-384"},
		3443: {"-no_ticket"},
	}
	for port, args := range servers {
		x.serve(port, args...)
	}
	session, session12, session13 := x.path("id.pem"), x.path("12.pem"), x.path("13.pem")
	told := map[int]int{}
	for _, tc := range []struct {
		name string
		port int
		args []string
		want flow.TLSHandshake // what the arguments say
	}{
		{"TLS 1.3", 443, []string{"-servername", "Shop.Test", "-alpn", "h2,http/1.1"}, flow.TLSHandshake{ServerName: "shop.test", ALPN: []string{"h2", "http/1.1"}, Version: 0x0304}},
		{"TLS 1.2", 443, []string{"-tls1_2", "-servername", "shop.test", "-alpn", "http/1.1"}, flow.TLSHandshake{ServerName: "shop.test", ALPN: []string{"http/1.1"}, Version: 0x0303, Chosen: "http/1.1"}},
		{"no name", 443, []string{"-noservername"}, flow.TLSHandshake{Version: 0x0304}},
		{"no common protocol", 443, []string{"-servername", "shop.test", "-alpn", "dot"}, flow.TLSHandshake{ServerName: "shop.test", ALPN: []string{"dot"}, Version: 0x0304, Alert: 120}},
		{"version that the server does not take", 1443, []string{"-tls1_2", "-servername", "shop.test"}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0303, Alert: 70}},
		{"HelloRetryRequest", 2443, []string{"-servername", "shop.test", "-groups", "X25519:P-384"}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0304}},
		{"no common group", 2443, []string{"-servername", "shop.test", "-groups", "X25519"}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0304, Alert: 40}},
		{"TLS 1.3 for a session", 443, []string{"-servername", "shop.test", "-sess_out", session13}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0304}},
		{"TLS 1.3 resumed", 443, []string{"-servername", "shop.test", "-sess_in", session13}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0304, Resumed: true}},
		{"TLS 1.2 for a ticket", 443, []string{"-tls1_2", "-servername", "shop.test", "-sess_out", session12}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0303}},
		{"TLS 1.2 resumed by ticket", 443, []string{"-tls1_2", "-servername", "shop.test", "-sess_in", session12}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0303, Resumed: true}},
		{"TLS 1.2 for an id", 3443, []string{"-tls1_2", "-servername", "shop.test", "-sess_out", session}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0303}},
		{"TLS 1.2 resumed by id", 3443, []string{"-tls1_2", "-servername", "shop.test", "-sess_in", session}, flow.TLSHandshake{ServerName: "shop.test", Version: 0x0303, Resumed: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := *x
			x.t = t
			began := time.Now()
			out := x.connect(tc.port, tc.args...)
			took := time.Since(began)
			p := listen(t, out)
			told[tc.port]++
			e := x.exchange(tc.port, told[tc.port])
			want := tc.want
			want.JA4, want.Cipher = p.JA4, p.Cipher
			if p.Version != want.Version || p.Alert != want.Alert || p.Resumed != want.Resumed || p.Chosen != want.Chosen {
				t.Fatalf("openssl had another handshake, %+v:\n%s", p, out)
			}
			if !reflect.DeepEqual(*e.TLS, want) {
				t.Errorf("told %+v\nwant %+v", *e.TLS, want)
			}
			if e.RequestBytes != p.asked || e.ResponseBytes != p.answered || e.Status != p.status {
				t.Errorf("told %d and %d bytes, status %d; openssl printed %d, %d and %d", e.RequestBytes, e.ResponseBytes, e.Status, p.asked, p.answered, p.status)
			}
			if e.Latency <= 0 || e.Latency > int64(took) || e.Start < began.Add(-time.Millisecond).UnixNano() || e.Start > began.Add(took).UnixNano() {
				t.Errorf("from %v, for %v; the client ran from %v for %v", time.Unix(0, e.Start), time.Duration(e.Latency), began, took)
			}
			if e.Comm.String() != "openssl" || e.Cgroup != x.client.CgroupID || e.Peer != x.server.CgroupID || e.Remote != x.server.V4 || e.NetNS != uint32(x.client.NetNS) {
				t.Errorf("exchange of %+v", e)
			}
		})
	}
	x.nothingUnseen()
}

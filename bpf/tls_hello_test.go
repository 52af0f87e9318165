package bpf

import (
	"encoding/binary"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/bpf/native"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7/ja4"
)

// More than the kernel keeps: what is cut off is left out, and nothing else.
func TestTLSOfALongHello(t *testing.T) {
	x := newTLSLab(t)
	x.serve(443)
	protocols := []string{"h2"}
	for i := range 200 {
		protocols = append(protocols, fmt.Sprintf("protocol-%03d", i))
	}
	p := listen(t, x.connect(443, "-servername", "shop.test", "-alpn", strings.Join(protocols, ",")))
	e := x.exchange(443, 1)
	want := flow.TLSHandshake{Version: 0x0304, Cipher: p.Cipher, ServerName: "shop.test", ALPN: protocols[:3]}
	if !reflect.DeepEqual(*e.TLS, want) || e.RequestBytes != p.asked || p.asked < 2000 || e.Status != 0 {
		t.Errorf("told %+v of %d bytes, want %+v of %d", *e.TLS, e.RequestBytes, want, p.asked)
	}
	x.nothingUnseen()
}

// A captured hello, written byte by byte by another process, to a real server.
func TestTLSOfASplitHello(t *testing.T) {
	x := newTLSLab(t)
	x.serve(443)
	samples, err := native.TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	for _, s := range samples {
		if s.Name == "openssl-13.client" {
			stream = s.Bytes
		}
	}
	hello := stream[:5+binary.BigEndian.Uint16(stream[3:])]
	var part role.Part
	for i := range hello {
		part.Turns = append(part.Turns, role.Turn{Say: hello[i : i+1]})
	}
	part.Close = true
	script := role.Script{Parts: []role.Part{part}, Calls: []role.Call{{To: net.JoinHostPort(x.server.V4.String(), "443")}}}
	if err := role.WriteScript(x.path("script.json"), script); err != nil {
		t.Fatal(err)
	}
	x.client.Account(role.Spec{Role: role.ScriptClient, Path: x.path("script.json")})
	e := x.exchange(443, 1)
	if e.TLS.JA4 != fingerprint(t, hello) || e.TLS.ServerName != "shop.test" || e.TLS.Version != 0x0304 || e.TLS.Cipher == 0 || e.Status != 0 || e.RequestBytes != uint64(len(hello)) {
		t.Errorf("told %+v of %d bytes, status %d", e.TLS, e.RequestBytes, e.Status)
	}
	x.nothingUnseen()
}

// fingerprint is of the whole hello that a stream begins with: nothing of the kernel's.
func fingerprint(t *testing.T, stream []byte) string {
	t.Helper()
	var h ja4.Hello
	size := int(binary.BigEndian.Uint16(stream[3:]))
	if err := h.Parse(stream[5 : 5+size]); err != nil {
		t.Fatal(err)
	}
	return h.Fingerprint()
}

// A client that speaks TLS to what does not, and what does not to a TLS server.
func TestTLSToNoTLS(t *testing.T) {
	x := newTLSLab(t)
	curl, bash := lab.RequireTool(t, "curl"), lab.RequireTool(t, "bash")
	web := x.server.Play(role.Spec{Role: role.HTTPServer, Address: lab.Listen(8080)})
	resets := x.server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(8081), Behaviour: role.Reset})
	x.serve(443)
	run := func(name string, args ...string) { _ = x.client.Command(name, args...).Run() }
	for n, player := range []*lab.Player{web, resets} {
		run(curl, "-sk", "--max-time", "5", "https://"+player.On(x.server.V4)+"/")
		e := x.exchange(int(player.Addr.Port()), 1)
		if e.Status != flow.NoAnswer || e.ResponseBytes != 0 || e.TLS.Version != 0x0304 || e.TLS.Cipher != 0 || e.TLS.JA4 == "" {
			t.Errorf("server %d: told %+v, %+v", n, e, e.TLS)
		}
	}
	tls := net.JoinHostPort(x.server.V4.String(), "443")
	run(curl, "-s", "--max-time", "5", "http://"+tls+"/")
	for _, say := range []string{"", "echo no TLS >&3", `printf '\x16' >&3`, `printf '\x16\x03\x01\x00\x05hello, how are you' >&3`} {
		run(bash, "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/443; %s", x.server.V4, say))
	}
	// Once this one is told, all of the others were.
	x.connect(443)
	x.exchange(443, 1)
	x.nothingUnseen()
}

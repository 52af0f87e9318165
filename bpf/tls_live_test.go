package bpf

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/bpf/native"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7/ja4"
)

// These hold what weir tells of handshakes against what the programs say that have
// them: openssl prints every message, nginx keeps a log.

// tlsLab is two hosts under capture, and a certificate.
type tlsLab struct {
	t              *testing.T
	capture        *Capture
	told           *recorder
	server, client *lab.Host
	dir            string
}

func newTLSLab(t *testing.T) *tlsLab {
	t.Helper()
	l := lab.New(t)
	x := &tlsLab{t: t, server: l.Host("server"), client: l.Host("client"), dir: t.TempDir()}
	cfg := quiet(t)
	cfg.CgroupRoot = filepath.Dir(x.server.CgroupPath)
	x.capture, x.told = capture(t, cfg)
	x.certify()
	return x
}

func (x *tlsLab) path(name string) string { return filepath.Join(x.dir, name) }

// certify writes cert.pem and key.pem.
func (x *tlsLab) certify() {
	x.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		x.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"shop.test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		x.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		x.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(x.path(name), pem.EncodeToMemory(block), 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
}

// serve runs openssl's server on that port until the test ends.
func (x *tlsLab) serve(port int, args ...string) {
	x.t.Helper()
	openssl := lab.RequireTool(x.t, "openssl")
	args = append([]string{"s_server", "-accept", strconv.Itoa(port), "-cert", x.path("cert.pem"), "-key", x.path("key.pem"), "-www"}, args...)
	cmd := x.server.Command(openssl, args...)
	out, in, err := os.Pipe()
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = out.Close() })
	cmd.Stdout = in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ACCEPT") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	x.t.Fatalf("openssl s_server %v does not listen", args)
}

// connect runs openssl's client for one request, and returns what it printed.
func (x *tlsLab) connect(port int, args ...string) string {
	x.t.Helper()
	args = append([]string{"s_client", "-connect", fmt.Sprintf("%s:%d", x.server.V4, port), "-msg", "-ign_eof"}, args...)
	cmd := x.client.Command(lab.RequireTool(x.t, "openssl"), args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // it fails where the handshake does
	return out.String()
}

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

// exchange waits for the n-th handshake with that port that is told in full, and its tally.
func (x *tlsLab) exchange(port, n int) *flow.Exchange {
	x.t.Helper()
	like := func(e *flow.Event) bool {
		return e.Kind == flow.KindExchange && e.Exchange.TLS != nil && e.Exchange.RemotePort == uint16(port)
	}
	all := x.told.wait(x.t, fmt.Sprintf("handshake %d with port %d", n, port), n, like)
	x.tallied(port, n)
	return all[n-1].Exchange
}

// tallied waits until n handshakes with that port are counted, and no more.
func (x *tlsLab) tallied(port, n int) {
	x.t.Helper()
	count := 0
	for deadline := time.Now().Add(patience); ; {
		count = 0
		for _, ev := range x.told.all(func(ev *flow.Event) bool {
			return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.TLS && ev.Tally.Port == uint16(port)
		}) {
			if ev.Tally.Cgroup != x.client.CgroupID || ev.Tally.Role != flow.RoleClient || ev.Tally.Peer != x.server.CgroupID {
				x.t.Errorf("tally of %+v", ev.Tally.Counted)
			}
			count += int(ev.Tally.Count)
		}
		if count >= n {
			break
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%d handshakes with port %d counted, want %d", count, port, n)
		}
		<-x.told.more
	}
	if count != n {
		x.t.Errorf("%d handshakes with port %d counted, want %d", count, port, n)
	}
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

func (x *tlsLab) nothingUnseen() {
	x.t.Helper()
	for _, u := range x.capture.Stats().Unseen {
		if u.Protocol == flow.TLS {
			x.t.Errorf("unseen: %+v", u)
		}
	}
}

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

func TestTLSOfNginx(t *testing.T) {
	for _, deferred := range []string{"", " deferred"} {
		t.Run("listen"+deferred, func(t *testing.T) { nginx(t, deferred) })
	}
}

func nginx(t *testing.T, deferred string) {
	x := newTLSLab(t)
	curl := lab.RequireTool(t, "curl")
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  log_format tls '$ssl_protocol $ssl_cipher $ssl_server_name $ssl_alpn_protocol $ssl_session_reused';
  access_log %[1]s/access.log tls;
  client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
  ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 443 ssl http2%[2]s; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; location / { return 204; } }
}
`, x.dir, deferred)
	if err := os.WriteFile(x.path("nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	server := x.server.Command(lab.RequireTool(t, "nginx"), "-p", x.dir, "-c", x.path("nginx.conf"), "-e", x.path("error.log"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(x.path("pid")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(x.path("error.log"))
			t.Fatalf("nginx does not start: %s", log)
		}
	}
	runs := [][]string{{}, {"--tls-max", "1.2"}, {"--tls-max", "1.2", "--http1.1"}, {"--http1.1"}, {"--no-alpn"}}
	const each = 6
	for _, args := range runs {
		args = append(args, "-skv", "--max-time", "5", "--resolve", "shop.test:443:"+x.server.V4.String(), "https://shop.test/")
		for range each {
			if out, err := x.client.Command(curl, args...).Output(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	x.tallied(443, each*len(runs))
	var got []string
	for _, ev := range x.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.TLS != nil }) {
		h := ev.Exchange.TLS
		chosen, reused := h.Chosen, "."
		if chosen == "" {
			chosen = "-"
		}
		if h.Resumed {
			reused = "r"
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s", versionName(h.Version), cipherName(h.Cipher), h.ServerName, chosen, reused))
	}
	log, err := os.ReadFile(x.path("access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if len(lines) != len(got) {
		t.Errorf("%d handshakes told in full, nginx has a log of %d", len(got), len(lines))
	}
	for i := range min(len(lines), len(got)) {
		line := lines[i]
		if f := strings.Fields(line); len(f) == 5 && f[0] == "TLSv1.3" {
			f[3] = "-" // said where it cannot be seen
			line = strings.Join(f, " ")
		}
		if got[i] != line {
			t.Errorf("told %q, nginx has %q", got[i], lines[i])
		}
	}
	x.nothingUnseen()
}

func versionName(v uint16) string {
	for name, number := range printedVersions {
		if number == v {
			return name
		}
	}
	return ""
}

// cipherName is OpenSSL's name.
func cipherName(c uint16) string {
	return map[uint16]string{
		0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256",
		0xc02b: "ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02c: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xcca9: "ECDHE-ECDSA-CHACHA20-POLY1305",
	}[c]
}

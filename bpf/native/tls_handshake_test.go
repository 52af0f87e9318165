//go:build cgo && linux

package native

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/l7/ja4"
)

// tap is a connection that keeps what is written to it.
type tap struct {
	net.Conn
	mu   sync.Mutex
	sent bytes.Buffer
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.sent.Write(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// handshake is what both ends sent and what they think of it.
type handshake struct {
	client, server []byte
	state          tls.ConnectionState // the client's
	hello          *tls.ClientHelloInfo
	err            error
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pair is two ends of one connection. net.Pipe would not do: TLS writes at both
// ends before it reads.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// shake makes a handshake, and a little traffic after it.
func shake(t testing.TB, client, server *tls.Config) *handshake {
	t.Helper()
	a, b := pair(t)
	c, s := &tap{Conn: a}, &tap{Conn: b}
	h := &handshake{}
	server = server.Clone()
	server.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		h.hello = info
		return nil, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(s, server)
		if conn.Handshake() == nil {
			_, _ = conn.Write([]byte("hello"))
			_, _ = io.Copy(io.Discard, conn)
		}
		b.Close()
	}()
	conn := tls.Client(c, client)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if h.err = conn.Handshake(); h.err == nil {
		h.state = conn.ConnectionState()
		_, h.err = io.ReadFull(conn, make([]byte, 5))
		conn.Close()
	}
	a.Close()
	<-done
	h.client, h.server = c.sent.Bytes(), s.sent.Bytes()
	return h
}

// resumes gives a client's config a cache, and a session in it.
func resumes(t testing.TB, client, server *tls.Config) (*tls.Config, *tls.Config) {
	t.Helper()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	server.SetSessionTicketKeys([][32]byte{{1}})
	shake(t, client, server)
	return client, server
}

// What the parser tells of a handshake is what both ends of it say.
func TestTLSHandshakes(t *testing.T) {
	cert := certificate(t)
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{ServerName: "Shop.Test", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
		change(c)
		return c
	}
	server := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10}
		change(c)
		return c
	}
	plain := func(*tls.Config) {}
	type test struct {
		name           string
		client, server *tls.Config
		extra          string // what tests below look for
	}
	tests := []test{
		{"default", client(plain), server(plain), ""},
		{"no name", client(func(c *tls.Config) { c.ServerName = "" }), server(plain), ""},
		{"address", client(func(c *tls.Config) { c.ServerName = "192.0.2.1" }), server(plain), ""},
		{"long name", client(func(c *tls.Config) { c.ServerName = strings.Repeat("a.", 120) + "test" }), server(plain), ""},
		{"protocols", client(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }), server(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }), ""},
		{"many protocols", client(func(c *tls.Config) {
			c.NextProtos = []string{"xh2", "h2x", "http/1.2", strings.Repeat("p", 255), "xhttp/1.1"}
		}), server(plain), ""},
		{"no protocol in common", client(func(c *tls.Config) { c.NextProtos = []string{"dot"} }), server(func(c *tls.Config) { c.NextProtos = []string{"h2"} }), "alert 120"},
		{"no version in common", client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }), server(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }), "alert 70"},
		{"retry", client(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP521} }), server(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }), "retry"},
		{"client certificate", client(func(c *tls.Config) { c.Certificates, c.MaxVersion = []tls.Certificate{cert}, tls.VersionTLS12 }), server(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), ""},
		{"no client certificate", client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), server(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), "alert 40"},
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		only := func(c *tls.Config) {
			c.MaxVersion, c.NextProtos = version, []string{"h2"}
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}
		tests = append(tests, test{tls.VersionName(version), client(only), server(only), ""})
		c, s := resumes(t, client(only), server(only))
		tests = append(tests, test{tls.VersionName(version) + ", resumed", c, s, "resumed"})
	}
	var r TLSRun
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := shake(t, test.client, test.server)
			if strings.HasPrefix(test.extra, "alert") != (h.err != nil) {
				t.Fatalf("handshake: %v", h.err)
			}
			if test.extra == "resumed" && !h.state.DidResume {
				t.Fatal("did not resume")
			}
			compare(t, &r, h, test.extra)
			random := mathrand.New(mathrand.NewPCG(7, 8))
			everyTLSCut(t, &r, h.client, TLSClient, cuts(min(len(h.client), 1000), random))
			everyTLSCut(t, &r, h.server, TLSServer, cuts(min(len(h.server), 1000), random))
			for _, size := range []int{1, 2, 7, 100} {
				sameInRecords(t, &r, h.client, TLSClient, size)
				sameInRecords(t, &r, h.server, TLSServer, size)
			}
		})
	}
}

func compare(t *testing.T, r *TLSRun, h *handshake, extra string) {
	t.Helper()
	c, s := tlsSays(r, h.client, TLSClient, Cut{}), tlsSays(r, h.server, TLSServer, Cut{})
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format+"\nclient says%s\nserver says%s", append(args, lines(pointers(c)), lines(pointers(s)))...)
	}
	if len(c) == 0 || c[0].Kind != TLSClientHello || len(s) == 0 {
		fail("no hellos")
		return
	}
	sameHello(t, &c[0], h.hello, firstMessage(h.client))
	last := s[len(s)-1]
	switch {
	case strings.HasPrefix(extra, "alert"):
		if number := strings.TrimPrefix(extra, "alert "); last.Kind != TLSAlert || last.Level != 2 || strconv.Itoa(int(last.Alert)) != number {
			fail("want %s", extra)
		}
		return
	case last.Flags&FlagSwitch == 0 || c[len(c)-1].Kind != TLSEncrypted:
		fail("does not end encrypted")
		return
	}
	if extra == "retry" {
		if len(c) != 3 || c[1].Kind != TLSClientHello || c[1].Hints&TLSHintAgain == 0 || len(s) != 2 || s[0].Kind != TLSRetry || s[1].Hints&TLSHintAgain == 0 {
			fail("want two hellos each")
			return
		}
		s = s[1:]
	}
	hello := s[0]
	if hello.Kind != TLSServerHello || hello.Version != h.state.Version || hello.Cipher != h.state.CipherSuite {
		fail("server's hello: want version %04x, cipher %04x", h.state.Version, h.state.CipherSuite)
	}
	if h.state.Version == tls.VersionTLS13 {
		if hello.Flags&FlagSwitch == 0 || (hello.Hints&TLSHintPSK != 0) != h.state.DidResume || (c[0].Hints&TLSHintPSK != 0) != h.state.DidResume {
			fail("resumed %v", h.state.DidResume)
		}
		return
	}
	if len(s) != 2 || (s[1].Hints&TLSHintResumed != 0) != h.state.DidResume || (hello.Session != 0 && hello.Session == c[0].Session) != h.state.DidResume {
		fail("resumed %v", h.state.DidResume)
	}
	if got := strings.Join(hello.ALPN(), ","); got != h.state.NegotiatedProtocol {
		fail("want protocol %q", h.state.NegotiatedProtocol)
	}
}

// firstMessage is the first handshake message of a stream, whatever records it is in;
// nil if it is not whole.
func firstMessage(stream []byte) []byte {
	var m []byte
	for len(stream) > 5 && stream[0] == 22 {
		n := min(int(stream[3])<<8|int(stream[4]), len(stream)-5)
		m = append(m, stream[5:5+n]...)
		stream = stream[5+n:]
		if len(m) >= 4 {
			if size := 4 + int(m[1])<<16 + int(m[2])<<8 + int(m[3]); len(m) >= size {
				return m[:size]
			}
		}
	}
	return nil
}

// sameHello compares a hello that was told with what crypto/tls and the JA4 parser read.
func sameHello(t testing.TB, got *TLSTold, want *tls.ClientHelloInfo, message []byte) {
	t.Helper()
	fail := func(what string, value any) {
		t.Helper()
		t.Fatalf("%s: want %v\nsays\n\t%s\nof %x", what, value, got, message)
	}
	if want != nil {
		name := asciiLower(want.ServerName)
		if int(got.NameLen) != len(name) || got.Name() != name[:min(len(name), 128)] || (name != "" && fmt.Sprintf("%016x", got.SNI) != hashOf(name)) || (name == "") != (got.SNI == 0) {
			fail("name", name)
		}
		if int(got.Cipher) != len(want.CipherSuites) {
			fail("ciphers", len(want.CipherSuites))
		}
		var highest uint16
		for _, v := range want.SupportedVersions {
			if v>>8 == 3 {
				highest = max(highest, v)
			}
		}
		// Without the extension crypto/tls lists the versions that it knows itself, below the version field's.
		guessed := got.Legacy == 0x0300 && highest == 0 || got.Legacy > 0x0303 && got.Version == 0x0303
		if got.Version != highest && !guessed {
			fail("version", highest)
		}
		alpn, bits := "", uint8(0)
		for _, p := range want.SupportedProtos {
			alpn += string([]byte{byte(len(p))}) + p
			switch p {
			case "h2":
				bits |= TLSProtocolH2
			case "http/1.0", "http/1.1":
				bits |= TLSProtocolHTTP1
			case "dot":
				bits |= TLSProtocolDoT
			default:
				bits |= TLSProtocolOther
			}
		}
		if int(got.Listed) != min(len(alpn), 33) || !strings.HasPrefix(alpn, string(got.ALPNBytes[:min(got.Listed, 32)])) || got.Protocols != bits {
			fail("protocols", want.SupportedProtos)
		}
	}
	var whole, digest ja4.Hello
	err := whole.Parse(message)
	if err == nil && got.RawLen <= 1024 {
		if err = digest.ParseDigest(got.Raw()); err == nil && whole.Raw() != digest.Raw() {
			fail("fingerprint", whole.Raw())
		}
	}
	// The parser looks into no signature algorithms: others do.
	if err != nil && !strings.Contains(err.Error(), "signature_algorithms") {
		fail("JA4", err)
	}
	if err == nil && whole.SNI != (got.NameLen > 0) {
		fail("name sent", whole.SNI)
	}
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// rerecord puts handshake messages that are in the clear into records of another size.
func rerecord(stream []byte, size int) []byte {
	var out []byte
	for len(stream) >= 5 && stream[0] != 23 {
		n := 5 + min(int(stream[3])<<8|int(stream[4]), len(stream)-5)
		record := stream[:n]
		stream = stream[n:]
		if record[0] != 22 || len(out) > 0 && bytes.Contains(out, []byte{20, 3, record[2], 0, 1, 1}) && record[5] != 1 && record[5] != 2 {
			out = append(out, record...)
			continue
		}
		for content := record[5:]; len(content) > 0; {
			k := min(size, len(content))
			out = append(append(out, 22, record[1], record[2], byte(k>>8), byte(k)), content[:k]...)
			content = content[k:]
		}
	}
	return append(out, stream...)
}

// A stream says the same whatever records its messages are in.
func sameInRecords(t testing.TB, r *TLSRun, stream []byte, side uint32, size int) {
	t.Helper()
	want := tlsSays(r, stream, side, Cut{})
	other := rerecord(stream, size)
	got := tlsSays(r, other[:min(len(other), MaxStream)], side, Cut{})
	for i := range got {
		got[i].At = 0
	}
	for i := range want {
		want[i].At = 0
	}
	if lines(pointers(got)) != lines(pointers(want)) {
		t.Fatalf("in records of %d bytes\nsays%s\nwant%s", size, lines(pointers(got)), lines(pointers(want)))
	}
}

//go:build cgo && linux

package native

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// tlsWords are put into hellos where they matter.
var tlsWords = []string{
	"\x00", "\x01", "\x02", "\x03", "\x03\x03", "\x03\x04", "\x16\x03\x03", "\x15\x03\x03\x00\x02\x01\x00", ccs, "\x00\x00", "\x00\x10", "\x00\x2b", "\x00\x29",
	"\x0a\x0a", "\xff\xff", "\x00\x01", ".", "A", "\x7f", "\x80", " ", "h2", "\x02h2", "\x08http/1.1", extHost[2:], extOffer[2:], extHTTP2[2:],
}

var extensionKinds = []string{"\x00\x00", "\x00\x0a", "\x00\x0d", "\x00\x10", "\x00\x23", "\x00\x29", "\x00\x2a", "\x00\x2b", "\x00\x33", "\x0a\x0a", "\xff\x01", "\xfe\x0d"}

// takeApart is parts.message() backwards, for messages that are whole.
func takeApart(message []byte) (parts, bool) {
	var p parts
	m := string(message)
	broken := false
	take := func(n int) string {
		if n > len(m) {
			broken = true
			n = len(m)
		}
		taken := m[:n]
		m = m[n:]
		return taken
	}
	number := func(n int) int {
		v := 0
		for _, c := range []byte(take(n)) {
			v = v<<8 | int(c)
		}
		return v
	}
	p.kind = byte(number(1))
	if number(3) != len(m) {
		return p, false
	}
	p.legacy, p.random = take(2), take(32)
	p.session = take(number(1))
	if p.kind == 1 {
		p.ciphers = take(number(2))
		p.methods = take(number(1))
	} else {
		p.ciphers, p.methods = take(2), take(1)
	}
	if m == "" {
		return p, !broken
	}
	if number(2) != len(m) {
		return p, false
	}
	p.extensions = []string{}
	for m != "" && !broken {
		kind := take(2)
		p.extensions = append(p.extensions, kind+take(number(2)))
	}
	return p, !broken
}

// mutateHello changes pieces of a hello, lengths around them staying right, and
// sometimes bytes without regard to anything; then it puts it into records.
func mutateHello(r *rand.Rand, p, other parts) []byte {
	p.extensions = slices.Clone(p.extensions)
	change := func(s string) string { return string(mutateBytes(r, []byte(s), []byte(random32), tlsWords)) }
	for range r.IntN(4) {
		n := len(p.extensions)
		switch what := r.IntN(14); {
		case what == 0:
			p.legacy = "\x03" + string([]byte{byte(r.IntN(6))})
		case what == 1:
			p.session = change(p.session)
		case what == 2:
			p.ciphers = change(p.ciphers)
		case what == 3 && p.kind == 2:
			p.random = retry32
		case what == 4 && len(other.extensions) > 0:
			p.extensions = slices.Insert(p.extensions, r.IntN(n+1), other.extensions[r.IntN(len(other.extensions))])
		case n == 0:
		case what == 5:
			p.extensions = slices.Delete(p.extensions, n-1, n)
		case what == 6:
			i, j := r.IntN(n), r.IntN(n)
			p.extensions[i], p.extensions[j] = p.extensions[j], p.extensions[i]
		case what == 7:
			i := r.IntN(n)
			p.extensions[i] = extensionKinds[r.IntN(len(extensionKinds))] + p.extensions[i][2:]
		default: // the content of one that is read, most of the time
			i := r.IntN(n)
			for range 5 {
				if kind := p.extensions[i][:2]; kind == "\x00\x00" || kind == "\x00\x10" || kind == "\x00\x2b" {
					break
				}
				i = r.IntN(n)
			}
			p.extensions[i] = p.extensions[i][:2] + change(p.extensions[i][2:])
		}
	}
	m := []byte(p.message())
	if r.IntN(4) == 0 {
		m = mutateBytes(r, m, []byte(other.message()), tlsWords)
	}
	var stream []byte
	for len(m) > 0 {
		n := min(len(m), 1<<14)
		if r.IntN(2) == 0 {
			n = 1 + r.IntN(n)
		}
		stream = append(stream, record(22, string(m[:n]))...)
		m = m[n:]
	}
	if r.IntN(8) == 0 {
		stream = mutateBytes(r, stream, []byte(ccs), tlsWords)
	}
	return stream[:min(len(stream), MaxStream)]
}

// deaf is a connection from which a stream is read, and where nobody listens.
type deaf struct{ io.Reader }

func (deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (deaf) Close() error                     { return nil }
func (deaf) LocalAddr() net.Addr              { return nil }
func (deaf) RemoteAddr() net.Addr             { return nil }
func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

// cryptoTLS is what a server of crypto/tls reads in a client's stream; nil where it refuses it.
func cryptoTLS(stream []byte) *tls.ClientHelloInfo {
	var hello *tls.ClientHelloInfo
	_ = tls.Server(deaf{bytes.NewReader(stream)}, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = info
			return nil, io.EOF
		},
	}).Handshake()
	return hello
}

// stricter are reasons for which the parser refuses hellos that crypto/tls takes:
// it looks at names, session ids, versions, ciphers and at what is around a hello later, or not.
var stricter = []string{"sni", "session", "record", "version", "trailing", "ciphers", "compression", "interleaved", "size"}

func checkClient(t testing.TB, r *TLSRun, stream []byte, random *rand.Rand) (accepted bool) {
	t.Helper()
	said := tlsSays(r, stream, TLSClient, Cut{})
	cut := randomCut(len(stream), random)
	if got := tlsSays(r, stream, TLSClient, cut); !slices.Equal(got, said) {
		t.Fatalf("%x, cut %+v\nsays%s\nwant%s", stream, cut, lines(pointers(got)), lines(pointers(said)))
	}
	hello := cryptoTLS(stream)
	if len(said) > 0 && said[0].Kind == TLSClientHello {
		sameHello(t, &said[0], hello, firstMessage(stream))
		return true
	}
	if hello == nil {
		return false
	}
	if len(said) == 0 || said[0].Flags&FlagError != 0 && !slices.Contains(stricter, said[0].Reason.String()) {
		t.Fatalf("%x\nsays%s\ncrypto/tls reads %+v", stream, lines(pointers(said)), hello)
	}
	return false
}

// readServer is a server's hello read in the simplest way: whole.
func readServer(message []byte) (version, cipher uint16, protocol string, retry, psk, ok bool) {
	p, ok := takeApart(message)
	if !ok || p.kind != 2 || len(p.session) > 32 || p.legacy[0] != 3 {
		return 0, 0, "", false, false, false
	}
	version, cipher = binary.BigEndian.Uint16([]byte(p.legacy)), binary.BigEndian.Uint16([]byte(p.ciphers))
	chosen := version
	seen := map[string]bool{}
	for _, e := range p.extensions {
		kind, content := e[:2], e[2:]
		if seen[kind] && kind < "\x00\x40" {
			return 0, 0, "", false, false, false
		}
		seen[kind] = true
		switch kind {
		case "\x00\x10":
			if len(content) < 4 || content[:3] != p16(p8(content[3:]))[:3] {
				return 0, 0, "", false, false, false
			}
			protocol = content[3:]
		case "\x00\x2b":
			if content != "\x03\x04" || version != 0x0303 {
				return 0, 0, "", false, false, false
			}
			chosen = 0x0304
		case "\x00\x29":
			psk = true
		}
	}
	retry = p.random == retry32
	if chosen == version && (version > 0x0303 || retry) {
		return 0, 0, "", false, false, false
	}
	return chosen, cipher, protocol, retry, psk, true
}

func checkServer(t testing.TB, r *TLSRun, stream []byte, random *rand.Rand) (accepted bool) {
	t.Helper()
	said := tlsSays(r, stream, TLSServer, Cut{})
	cut := randomCut(len(stream), random)
	if got := tlsSays(r, stream, TLSServer, cut); !slices.Equal(got, said) {
		t.Fatalf("%x, cut %+v\nsays%s\nwant%s", stream, cut, lines(pointers(got)), lines(pointers(said)))
	}
	if len(said) == 0 || said[0].Kind == TLSAlert {
		return false
	}
	version, cipher, protocol, retry, psk, ok := readServer(firstMessage(stream))
	got := &said[0]
	if got.Flags&FlagError != 0 {
		if name := got.Reason.String(); ok && name != "trailing" && name != "record" && name != "interleaved" {
			t.Fatalf("%x\nsays%s\nwant a hello", stream, lines(pointers(said)))
		}
		return false
	}
	alpn := ""
	if protocol != "" {
		alpn = p8(protocol)
	}
	kind := uint8(TLSServerHello)
	if retry {
		kind = TLSRetry
	}
	if !ok || got.Kind != kind || got.Version != version || got.Cipher != cipher || (got.Hints&TLSHintPSK != 0) != psk ||
		int(got.Listed) != min(len(alpn), 33) || !strings.HasPrefix(alpn, string(got.ALPNBytes[:min(got.Listed, 32)])) {
		t.Fatalf("%x\nsays%s\nwant %v: version %04x, cipher %04x, protocol %q, retry %v, psk %v", stream, lines(pointers(said)), ok, version, cipher, protocol, retry, psk)
	}
	return true
}

func seeds(t testing.TB) (clients, servers []parts) {
	t.Helper()
	samples, err := TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		p, ok := takeApart(firstMessage(s.Bytes))
		switch {
		case !ok:
		case s.Argument == TLSClient:
			clients = append(clients, p)
		default:
			servers = append(servers, p)
		}
	}
	clients = append(clients, clientHello(extHost, extHTTP2, extOffer, "\x00\x23ticket", "\x00\x2a", "\xfe\x0d1"))
	servers = append(servers, serverHello(extHTTP2), serverHello(extChosen, "\x00\x29\x00\x00"))
	return clients, servers
}

// Changed hellos are read as crypto/tls and the JA4 parser read them, or not at all.
func TestTLSMutations(t *testing.T) {
	rounds := 50_000
	if !testing.Short() {
		rounds = 2_500_000
	}
	clients, servers := seeds(t)
	var r TLSRun
	random := rand.New(rand.NewPCG(9, 10))
	accepted := [2]int{}
	for range rounds {
		if checkClient(t, &r, mutateHello(random, clients[random.IntN(len(clients))], clients[random.IntN(len(clients))]), random) {
			accepted[0]++
		}
		if checkServer(t, &r, mutateHello(random, servers[random.IntN(len(servers))], servers[random.IntN(len(servers))]), random) {
			accepted[1]++
		}
	}
	if accepted[0] < rounds/10 || accepted[1] < rounds/10 {
		t.Errorf("%d of %d hellos accepted: too few to say something", accepted, rounds)
	}
	t.Logf("%d hellos of each side, %d accepted", rounds, accepted)
}

// Whatever comes behind a hello, a stream says the same however it is cut, and in
// whatever records its messages are.
func TestTLSMutatedStreams(t *testing.T) {
	rounds := 20_000
	if !testing.Short() {
		rounds = 1_000_000
	}
	samples, err := TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	var r TLSRun
	random := rand.New(rand.NewPCG(11, 12))
	for range rounds {
		s := samples[random.IntN(len(samples))]
		stream := mutateBytes(random, s.Bytes[:min(len(s.Bytes), 1000)], samples[random.IntN(len(samples))].Bytes, tlsWords)
		everyTLSCut(t, &r, stream, s.Argument, []Cut{randomCut(len(stream), random), {Window: 1}})
	}
}

func FuzzTLS(f *testing.F) {
	samples, err := TLSSamples()
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range samples {
		f.Add(s.Bytes, s.Argument == TLSServer, uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, server bool, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		stream = stream[:min(len(stream), MaxStream)]
		if server {
			checkServer(t, new(TLSRun), stream, random)
		} else {
			checkClient(t, new(TLSRun), stream, random)
		}
	})
}

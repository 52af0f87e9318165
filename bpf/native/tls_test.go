//go:build cgo && linux

package native

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// parts is a hello in pieces, to be put together with lengths that are right.
type parts struct {
	kind       byte // 1 client's, 2 server's
	legacy     string
	random     string
	session    string
	ciphers    string // a server's is one
	methods    string
	extensions []string // type and content; nil for none at all
}

func p8(s string) string  { return string([]byte{byte(len(s))}) + s }
func p16(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

func (p parts) message() string {
	body := p.legacy + p.random + p8(p.session)
	if p.kind == 1 {
		body += p16(p.ciphers) + p8(p.methods)
	} else {
		body += p.ciphers + p.methods
	}
	if p.extensions != nil {
		all := ""
		for _, e := range p.extensions {
			if len(e) >= 2 {
				all += e[:2] + p16(e[2:])
			}
		}
		body += p16(all)
	}
	return handshakeMessage(p.kind, body)
}

func handshakeMessage(kind byte, body string) string {
	return string([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}) + body
}

func record(kind byte, content string) string {
	return string([]byte{kind, 3, 3}) + p16(content)
}

const (
	tls12     = "\x03\x03"
	random32  = "0123456789abcdef0123456789abcdef"
	retry32   = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"
	extGroups = "\x00\x0a\x00\x02\x00\x1d"
	extHTTP2  = "\x00\x10\x00\x03\x02h2"
	extHost   = "\x00\x00\x00\x07\x00\x00\x04a.bc"
	extOffer  = "\x00\x2b\x04\x03\x04\x03\x03"
	extChosen = "\x00\x2b\x03\x04"
	ccs       = "\x14\x03\x03\x00\x01\x01"
	appData   = "\x17\x03\x03\x00\x10abcdefghijklmnop"
)

func clientHello(extensions ...string) parts {
	return parts{1, tls12, random32, "", "\x13\x01\xc0\x2b", "\x00", extensions}
}

func serverHello(extensions ...string) parts {
	return parts{2, tls12, random32, "", "\x13\x01", "\x00", extensions}
}

func TestTLS(t *testing.T) {
	first := record(22, clientHello(extHost, extOffer).message())
	again := record(22, clientHello(extHost, extOffer, "\x00\x2c\x00\x00").message())
	reply := record(22, serverHello(extChosen).message())
	old := serverHello(extHTTP2)
	old.session = "0123456789"
	retry := serverHello(extChosen)
	retry.random = retry32
	second := clientHello(extOffer, extHost)
	second.random = strings.Repeat("x", 32)
	bare := clientHello()
	bare.legacy, bare.extensions = "\x03\x00", nil
	const saysFirst = `: client hello legacy=0303 version=0304 ciphers=2 sni="a.bc" hash=1c35181b85d1758e session=00000000 raw=21`
	for _, test := range []struct {
		name   string
		side   uint32
		stream string
		want   []string
	}{
		{"no extensions", TLSClient, record(22, bare.message()), []string{`52: client hello legacy=0300 version=0300 ciphers=2 session=00000000 raw=8`}},
		{"1.3", TLSClient, first + ccs + appData, []string{`76` + saysFirst, `87: encrypted switch`}},
		{"1.3, without ChangeCipherSpec", TLSClient, first + appData, []string{`76` + saysFirst, `81: encrypted switch`}},
		{"two hellos", TLSClient, first + ccs + again + appData, []string{`76` + saysFirst, `164: client hello legacy=0303 version=0304 ciphers=2 sni="a.bc" hash=1c35181b85d1758e session=00000000 raw=25 again`, `169: encrypted switch`}},
		{"another client's hello", TLSClient, first + record(22, second.message()), []string{`76` + saysFirst, `119: error 315 second`}},
		{"for another server", TLSClient, first + record(22, clientHello(extHTTP2, extOffer).message()), []string{`76` + saysFirst, `148: error 315 second`}},
		{"encrypted, but like a hello", TLSClient, first + ccs + record(22, second.message()), []string{`76` + saysFirst, `125: encrypted switch`}},
		{"three hellos", TLSClient, first + again + again, []string{`76` + saysFirst, `158: client hello legacy=0303 version=0304 ciphers=2 sni="a.bc" hash=1c35181b85d1758e session=00000000 raw=25 again`, `167: error 301 order`}},
		{"1.2, resumed", TLSClient, first + ccs + record(22, "\x00\x00\x00\x00 encrypted"), []string{`76` + saysFirst, `91: encrypted switch`}},
		{"1.2, in full", TLSClient, first + record(22, handshakeMessage(16, "key")) + ccs, []string{`76` + saysFirst, `94: encrypted switch`}},
		{"client's alert", TLSClient, first + record(21, "\x01\x00"), []string{`76` + saysFirst, `83: alert level=1 description=0`}},
		{"more behind the hello", TLSClient, record(22, clientHello(extHost).message()+"x"), []string{`67: error 314 trailing`}},
		{"hello above 64 KiB", TLSClient, record(22, "\x01\x01\x00\x01"), []string{`9: error 303 size`}},
		{"hints", TLSClient, record(22, clientHello("\x00\x23ticket", "\x00\x2a", "\xfe\x0d1", "\x00\x29psk").message()),
			[]string{`80: client hello legacy=0303 version=0303 ciphers=2 session=00000000 raw=24 psk ticket early ech`}},
		{"versions of drafts and GREASE", TLSClient, record(22, clientHello("\x00\x2b\x06\x7f\x1c\x0a\x0a\x03\x02").message()),
			[]string{`65: client hello legacy=0303 version=0302 ciphers=2 session=00000000 raw=19`}},
		{"only unknown versions", TLSClient, record(22, clientHello("\x00\x2b\x02\x7f\x1c").message()),
			[]string{`61: client hello legacy=0303 version=0000 ciphers=2 session=00000000 raw=15`}},

		{"1.3 server", TLSServer, reply + ccs + appData, []string{`55: server hello legacy=0303 version=0304 cipher=1301 session=00000000 raw=0 switch`}},
		{"1.2 server", TLSServer, record(22, old.message()+handshakeMessage(11, "certificate")+handshakeMessage(14, "")) + ccs + "anything",
			[]string{`68: server hello legacy=0303 version=0303 cipher=1301 alpn=["h2"]/01 session=4c0c164b raw=0`, `93: encrypted switch`}},
		{"1.2 server, resumed", TLSServer, record(22, old.message()) + record(22, handshakeMessage(4, "new ticket")) + ccs,
			[]string{`68: server hello legacy=0303 version=0303 cipher=1301 alpn=["h2"]/01 session=4c0c164b raw=0`, `93: encrypted resumed switch`}},
		{"server's alert", TLSServer, record(21, "\x02\x28"), []string{`7: alert level=2 description=40`}},
		{"retry", TLSServer, record(22, retry.message()) + ccs + reply, []string{`55: retry legacy=0303 version=0304 cipher=1301 session=00000000 raw=0`,
			`116: server hello legacy=0303 version=0304 cipher=1301 session=00000000 raw=0 again switch`}},
		{"retry twice", TLSServer, record(22, retry.message()) + record(22, retry.message()), []string{`55: retry legacy=0303 version=0304 cipher=1301 session=00000000 raw=0`, `110: error 301 order`}},
		{"retry, then something else", TLSServer, record(22, retry.message()) + record(22, handshakeMessage(11, "x")), []string{`55: retry legacy=0303 version=0304 cipher=1301 session=00000000 raw=0`, `64: error 301 order`}},
		{"1.3 by the version field", TLSServer, record(22, parts{2, "\x03\x04", random32, "", "\x13\x01", "\x00", nil}.message()), []string{`47: error 305 version`}},
		{"1.2 by the extension", TLSServer, record(22, serverHello("\x00\x2b\x03\x03").message()), []string{`55: error 305 version`}},
		{"two protocols chosen", TLSServer, record(22, serverHello("\x00\x10\x00\x06\x02h2\x02h3").message()), []string{`58: error 312 alpn list`}},
		{"two versions chosen", TLSServer, record(22, serverHello("\x00\x2b\x03\x04\x03").message()), []string{`53: error 313 versions`}},
		{"more where keys change", TLSServer, record(22, serverHello(extChosen).message()+"x"), []string{`55: error 314 trailing`}},
		{"two hellos of a server", TLSServer, record(22, old.message()) + record(22, old.message()), []string{`68: server hello legacy=0303 version=0303 cipher=1301 alpn=["h2"]/01 session=4c0c164b raw=0`, `77: error 301 order`}},

		{"HTTP", TLSClient, "GET / HTTP/1.1\r\n\r\n", []string{`5: error 300 record`}},
		{"SSL 2", TLSClient, "\x80\x2e\x01\x00\x02\x00\x15", []string{`5: error 300 record`}},
		{"empty record", TLSClient, record(22, ""), []string{`5: error 300 record`}},
		{"record above 16 KiB", TLSClient, "\x16\x03\x01\x40\x01\x01", []string{`5: error 300 record`}},
		{"heartbeat", TLSClient, record(24, "abc"), []string{`5: error 300 record`}},
		{"data before the hello", TLSClient, appData, []string{`5: error 301 order`}},
		{"ChangeCipherSpec before the hello", TLSClient, ccs, []string{`5: error 301 order`}},
		{"server's hello from a client", TLSClient, reply, []string{`9: error 301 order`}},
		{"alert inside a hello", TLSClient, record(22, "\x01\x00") + record(21, "\x01\x00"), []string{`12: error 302 interleaved`}},
		{"data inside a hello", TLSClient, record(22, clientHello().message()[:20]) + appData, []string{`30: error 302 interleaved`}},
		{"alert of three bytes", TLSClient, record(21, "\x01\x00\x00"), []string{`5: error 316 alert size`}},
		{"alert of no level", TLSClient, record(21, "\x03\x00"), []string{`7: error 316 alert size`}},
		{"ChangeCipherSpec of two bytes", TLSClient, first + record(20, "\x01\x01"), []string{`76` + saysFirst, `81: error 317 ccs`}},
		{"ChangeCipherSpec of 2", TLSServer, record(22, old.message()) + record(20, "\x02"), []string{`68: server hello legacy=0303 version=0303 cipher=1301 alpn=["h2"]/01 session=4c0c164b raw=0`, `74: error 317 ccs`}},
		{"nothing", TLSClient, "", nil},
		{"half a header", TLSClient, first[:3], []string{`3: error 318 truncated`}},
		{"half a hello", TLSClient, first[:40], []string{`40: error 318 truncated`}},
		{"all but the last byte", TLSClient, first[:75], []string{`75: error 318 truncated`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := ""
			for _, line := range test.want {
				want += "\n\t" + line
			}
			var r TLSRun
			if got := lines(pointers(tlsSays(&r, []byte(test.stream), test.side, Cut{}))); got != want {
				t.Errorf("says%s\nwant%s", got, want)
			}
			everyTLSCut(t, &r, []byte(test.stream), test.side, cuts(len(test.stream), rand.New(rand.NewPCG(1, 2))))
		})
	}
}

// One piece of a hello is wrong, the others are right.
func TestTLSMalformedHellos(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*parts)
		want   string
	}{
		{"SSL 2", func(p *parts) { p.legacy = "\x00\x02" }, "version"},
		{"long session", func(p *parts) { p.session = strings.Repeat("x", 33) }, "session"},
		{"no ciphers", func(p *parts) { p.ciphers = "" }, "ciphers"},
		{"half a cipher", func(p *parts) { p.ciphers = "abc" }, "ciphers"},
		{"no compression methods", func(p *parts) { p.methods = "" }, "compression"},
		{"two names", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x08\x00\x00\x01a\x00\x00\x01b"} }, "sni"},
		{"name of another type", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x04\x01\x00\x01a"} }, "sni"},
		{"empty name", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x03\x00\x00\x00"} }, "sni"},
		{"empty extension of names", func(p *parts) { p.extensions = []string{"\x00\x00"} }, "sni"},
		{"name with a dot behind", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x05\x00\x00\x02a."} }, "sni"},
		{"name with NUL", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x05\x00\x00\x02a\x00"} }, "sni"},
		{"name with a space", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x06\x00\x00\x03a b"} }, "sni"},
		{"name that is not ASCII", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x05\x00\x00\x02\xc3\xa4"} }, "sni"},
		{"name with DEL", func(p *parts) { p.extensions = []string{"\x00\x00\x00\x0d\x00\x00\x0aaaaaaaaa\x7fa"} }, "sni"},
		{"name of 256 bytes", func(p *parts) {
			p.extensions = []string{"\x00\x00" + p16("\x00"+p16(strings.Repeat("a", 256)))}
		}, "sni"},
		{"name twice", func(p *parts) { p.extensions = []string{extHost, extHost} }, "duplicate"},
		{"no protocols", func(p *parts) { p.extensions = []string{"\x00\x10\x00\x00"} }, "alpn list"},
		{"empty protocol", func(p *parts) { p.extensions = []string{"\x00\x10\x00\x01\x00"} }, "alpn list"},
		{"protocol longer than its list", func(p *parts) { p.extensions = []string{"\x00\x10\x00\x03\x03h2"} }, "alpn list"},
		{"bytes behind the protocols", func(p *parts) { p.extensions = []string{extHTTP2 + "x"} }, "alpn list"},
		{"no versions", func(p *parts) { p.extensions = []string{"\x00\x2b\x00"} }, "versions"},
		{"half a version", func(p *parts) { p.extensions = []string{"\x00\x2b\x03\x03\x04\x03"} }, "versions"},
		{"bytes behind the versions", func(p *parts) { p.extensions = []string{extOffer + "x"} }, "versions"},
		{"key behind which something comes", func(p *parts) { p.extensions = []string{"\x00\x29x", extHost} }, "extensions"},
	} {
		p := clientHello(extGroups, extHost)
		test.change(&p)
		var r TLSRun
		said := tlsSays(&r, []byte(record(22, p.message())), TLSClient, Cut{})
		if len(said) != 1 || said[0].Reason.String() != test.want {
			t.Errorf("%s:%s\nwant %s", test.name, lines(pointers(said)), test.want)
		}
	}
	// Lengths that lie.
	good := []byte(record(22, clientHello(extGroups, extHost).message()))
	for _, test := range []struct {
		name string
		at   int
		more int
		want string
	}{
		{"message one shorter", 8, -1, "extensions"},
		{"message one longer", 8, 1, "extensions"},
		{"ciphers beyond the message", 44, 100, "short"},
		{"extensions one shorter", 53, -1, "extensions"},
		{"extension beyond the others", 57, 100, "short"},
		{"last extension longer", 65, 1, "short"},
		{"last extension shorter", 65, -1, "sni"},
	} {
		b := slices.Clone(good)
		b[test.at] += byte(test.more)
		var r TLSRun
		said := tlsSays(&r, b, TLSClient, Cut{})
		if len(said) != 1 || said[0].Reason.String() != test.want {
			t.Errorf("%s:%s\nwant %s", test.name, lines(pointers(said)), test.want)
		}
	}
}

// A capture keeps no more than it has room for, and says how much there was.
func TestTLSLargeHello(t *testing.T) {
	big := clientHello(extOffer, extHost, "\x00\x15"+strings.Repeat("\x00", 20000), "\x00\x0d"+p16(strings.Repeat("\x04\x03", 600)))
	big.ciphers = strings.Repeat("\x13\x01", 1000)
	var stream strings.Builder
	for m := big.message(); m != ""; {
		n := min(len(m), 1<<14)
		stream.WriteString(record(22, m[:n]))
		m = m[n:]
	}
	var r TLSRun
	said := tlsSays(&r, []byte(stream.String()), TLSClient, Cut{})
	if len(said) != 1 || said[0].Kind != TLSClientHello || said[0].Cipher != 1000 || said[0].RawLen != 1025 || said[0].Name() != "a.bc" {
		t.Errorf("says%s", lines(pointers(said)))
	}
	if r.Steps > 80 {
		t.Errorf("%d steps for %d bytes: padding is not skipped", r.Steps, stream.Len())
	}
	everyTLSCut(t, &r, []byte(stream.String()), TLSClient, cuts(200, rand.New(rand.NewPCG(1, 2))))
}

func TestDetectTLS(t *testing.T) {
	client, server := []byte(record(22, clientHello().message())), []byte(record(22, serverHello().message()))
	for _, test := range []struct {
		name  string
		begin []byte
		want  int
	}{
		{"client", client, 2},
		{"server", server, 3},
		{"alert", []byte(record(21, "\x02\x28")), 3},
		{"record of one byte", []byte(record(22, "\x01")), 2},
		{"nothing yet", nil, 1},
		{"not enough", client[:5], 1},
		{"data", []byte(appData), 0},
		{"certificate", []byte(record(22, handshakeMessage(11, "x"))), 0},
		{"SSL 2", []byte("\x80\x2e\x01\x03\x01\x00\x15"), 0},
		{"version 4", bytes.Replace(client, []byte{3, 3}, []byte{4, 0}, 1), 0},
		{"empty record", []byte("\x16\x03\x01\x00\x00\x16"), 0},
		{"HTTP", []byte("GET / HTTP/1.1\r\n"), 0},
		{"first byte alone is wrong", []byte{23}, 0},
		{"second byte is wrong", []byte{22, 2}, 0},
		{"third byte is wrong", []byte{22, 3, 9}, 0},
	} {
		if got := DetectTLS(test.begin); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

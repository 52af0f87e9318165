package ja4

import (
	"encoding/binary"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// extension is one of a ClientHello that a test builds.
type extension struct {
	kind    uint16
	content []byte
}

func u16s(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func list8(b []byte) []byte  { return append([]byte{byte(len(b))}, b...) }
func list16(b []byte) []byte { return append(u16s(uint16(len(b))), b...) }

func protocols(names ...string) extension {
	var b []byte
	for _, n := range names {
		b = append(b, list8([]byte(n))...)
	}
	return extension{extALPN, list16(b)}
}

func versions(v ...uint16) extension { return extension{extSupportedVersions, list8(u16s(v...))} }
func signatures(v ...uint16) extension {
	return extension{extSignatureAlgorithms, list16(u16s(v...))}
}

// hello is a ClientHello message, and what the kernel would capture of it.
func hello(version uint16, ciphers []uint16, extensions ...extension) (message, digest []byte) {
	suites := list16(u16s(ciphers...))
	body := append(u16s(version), make([]byte, 32)...)
	body = append(append(append(body, list8(make([]byte, 32))...), suites...), 1, 0)
	digest = append(u16s(version), suites...)
	var all []byte
	for _, e := range extensions {
		all = append(append(all, u16s(e.kind)...), list16(e.content)...)
		digest = append(digest, u16s(e.kind, uint16(len(e.content)))...)
		if slices.Contains([]uint16{extSignatureAlgorithms, extALPN, extSupportedVersions}, e.kind) {
			digest = append(digest, e.content...)
		}
	}
	if extensions != nil {
		body = append(body, list16(all)...)
	}
	return append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...), digest
}

// The example of the method's description: Chrome, with GREASE added here.
func published() (message, digest []byte) {
	ciphers := []uint16{0xaaaa, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035}
	var extensions []extension
	for _, kind := range []uint16{0x3a3a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x0a0a} {
		e := extension{kind, []byte{1, 2, 3}}
		switch kind {
		case extALPN:
			e = protocols("h2", "http/1.1")
		case extSupportedVersions:
			e = versions(0x5a5a, 0x0304, 0x0303)
		case extSignatureAlgorithms:
			e = signatures(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
		}
		extensions = append(extensions, e)
	}
	return hello(0x0303, ciphers, extensions...)
}

func TestPublished(t *testing.T) {
	message, digest := published()
	var h Hello
	for name, err := range map[string]error{"message": h.Parse(message), "digest": h.ParseDigest(digest)} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	const raw = "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_" +
		"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
	for name, parse := range map[string]func() error{"message": func() error { return h.Parse(message) }, "digest": func() error { return h.ParseDigest(digest) }} {
		if err := parse(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := h.Fingerprint(); got != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
			t.Errorf("%s: %s", name, got)
		}
		if got := h.Raw(); got != raw {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The parts that the description gives examples of.
func TestParts(t *testing.T) {
	ciphers := []uint16{0x1301}
	for _, test := range []struct {
		name       string
		version    uint16
		ciphers    []uint16
		extensions []extension
		want       string
	}{
		{"no extensions", 0x0303, ciphers, nil, "t12i010000_0f2cb44170f4_000000000000"},
		{"nothing but what is left out", 0x0301, ciphers, []extension{{0, nil}, protocols("h2")}, "t10d0102h2_0f2cb44170f4_000000000000"},
		{"no ciphers", 0x0302, []uint16{0x0a0a}, nil, "t11i000000_000000000000_000000000000"},
		{"SSL 3", 0x0300, ciphers, nil, "ts3i010000_0f2cb44170f4_000000000000"},
		{"unknown version", 0x0305, ciphers, nil, "t00i010000_0f2cb44170f4_000000000000"},
		{"supported_versions win", 0x0301, ciphers, []extension{versions(0x0303, 0x0302)}, "t12i010100_0f2cb44170f4_b9a491fefe05"},
		{"supported_versions of GREASE", 0x0303, ciphers, []extension{versions(0x1a1a)}, "t00i010100_0f2cb44170f4_b9a491fefe05"},
		{"more than can be counted", 0x0303, slices.Repeat(ciphers, 120), nil, "t12i990000_" + hashOf(slices.Repeat(ciphers, 120)) + "_000000000000"},
	} {
		message, digest := hello(test.version, test.ciphers, test.extensions...)
		var h Hello
		if err := h.Parse(message); err != nil || h.Fingerprint() != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, h.Fingerprint(), err, test.want)
		}
		if err := h.ParseDigest(digest); err != nil || h.Fingerprint() != test.want {
			t.Errorf("%s, digest: %s, %v; want %s", test.name, h.Fingerprint(), err, test.want)
		}
	}
	// The extensions of the published example without signature algorithms.
	h := Hello{Extensions: []uint16{0x1b, 0, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0xd, 5, 0x23, 0x12, 0x2b, 0xff01, 0xb, 0xa, 0x15}}
	if got := h.Fingerprint(); !strings.HasSuffix(got, "_6d807ffa2a79") {
		t.Errorf("without signature algorithms: %s", got)
	}
}

func hashOf(values []uint16) string { return string(digest(nil, list(nil, values))) }

func TestALPN(t *testing.T) {
	for name, want := range map[string]string{
		"": "00", "h2": "h2", "http/1.1": "h1", "x": "xx", "\xab": "ab", " ": "20", "\xab\xcd": "ad", " a": "21", "0\xab": "3b", "a ": "60",
		"01\xab\xcd": "3d", "0\xab\xcd1": "01",
	} {
		if got := alpn(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// A message that is cut off anywhere, or has a length that lies, is refused.
func TestMalformed(t *testing.T) {
	message, _ := published()
	var h Hello
	for n := range message {
		cut := slices.Clone(message[:n])
		if n >= 4 {
			cut[2], cut[3] = byte((n-4)>>8), byte(n-4)
		}
		// Extensions may be left out as a whole: right behind the compression methods.
		if err := h.Parse(cut); (err == nil) != (n == 4+2+32+33+2+32+2) {
			t.Errorf("%d of %d bytes: %v", n, len(message), err)
		}
	}
	if err := h.Parse(append(slices.Clone(message), 0)); err == nil {
		t.Error("a byte too much: no error")
	}
	for name, e := range map[string]extension{
		"odd signatures":        {extSignatureAlgorithms, []byte{0, 3, 4, 3, 8}},
		"signatures too long":   {extSignatureAlgorithms, []byte{0, 4, 4, 3}},
		"bytes behind versions": {extSupportedVersions, []byte{2, 3, 4, 0}},
		"half a version":        {extSupportedVersions, []byte{1, 3}},
		"protocol too long":     {extALPN, []byte{0, 3, 3, 'h', '2'}},
	} {
		message, digest := hello(0x0303, []uint16{1}, e)
		if err := h.Parse(message); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := h.ParseDigest(digest); err == nil {
			t.Errorf("%s, digest: no error", name)
		}
	}
	if err := h.ParseDigest([]byte{3, 3, 0, 2, 1}); !errors.Is(err, ErrTruncated) {
		t.Errorf("digest cut off: %v", err)
	}
}

var form = regexp.MustCompile(`^t(1[0-3]|s[23]|00)[di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$`)

// Whatever is read gives a fingerprint of the known form, the same again, and no
// lists that are longer than the input.
func FuzzParse(f *testing.F) {
	message, digest := published()
	f.Add(message)
	f.Add(digest)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Hello
		for _, parse := range []func([]byte) error{h.Parse, h.ParseDigest} {
			if parse(b) != nil {
				continue
			}
			first, again := h, h
			again.Ciphers, again.Extensions, again.Signatures = slices.Clone(h.Ciphers), slices.Clone(h.Extensions), slices.Clone(h.Signatures)
			if !form.MatchString(h.Fingerprint()) {
				t.Fatalf("%x: %s", b, h.Fingerprint())
			}
			if n := len(h.Ciphers) + len(h.Extensions) + len(h.Signatures); 2*n > len(b) {
				t.Fatalf("%x: %d values", b, n)
			}
			if !reflect.DeepEqual(first, again) {
				t.Fatalf("%x: a fingerprint changed the hello", b)
			}
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	_, digest := published()
	var h Hello
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ParseDigest(digest); err != nil {
			b.Fatal(err)
		}
		_ = h.Fingerprint()
	}
}

//go:build cgo && linux

package native

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// dnsWords are put into messages where they matter.
var dnsWords = []string{
	"\x00", "\x01", "\xc0\x0c", "\xc0\x00", "\xc0\xff", "\x40", "\x80", "\x3f", "\x03www", "\x01.", "\x01A", "\x00\x01", "\x00\x1c", "\x00\x05",
	"\x00\x04", "\x00\x10", inA, inAAAA, inName, ttl60, "\xff\xff\xff\xff", "\x80\x00\x00\x00", "\x00\x00", "\x00\x01\x00\x03",
	"\xc0\x0c" + inA + ttl60 + "\x00\x04abcd", "\x01a\xc0\x0c" + inAAAA + ttl60 + "\x00\x100123456789abcdef",
	"\xc0\x0c" + inName + ttl60 + "\x00\x02\xc0\x0c", "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00", "\x3f" + "0123456789012345678901234567890123456789012345678901234567890123",
}

// mutateBytes changes a few places of s, with words and with parts of other.
func mutateBytes(r *rand.Rand, s, other []byte, words []string) []byte {
	s = slices.Clone(s)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(s) + 1)
		end := min(len(s), at+r.IntN(1+r.IntN(20)))
		word := []byte(words[r.IntN(len(words))])
		switch r.IntN(8) {
		case 0:
			s = slices.Insert(s, at, word...)
		case 1:
			s = slices.Replace(s, at, end, word...)
		case 2: // as long as it was
			copy(s[at:], word)
		case 3:
			s = slices.Delete(s, at, end)
		case 4:
			s = slices.Insert(s, at, s[at:end]...)
		case 5:
			if at < len(s) {
				s[at] = byte(r.Uint32())
			}
		case 6: // a number a little more or less
			if at < len(s) {
				s[at] += byte(r.IntN(5) - 2)
			}
		case 7:
			from := r.IntN(len(other) + 1)
			s = slices.Insert(s, at, other[from:min(len(other), from+r.IntN(100))]...)
		}
	}
	return s[:min(len(s), 4096)]
}

// checkDNS holds a message against the libraries, and against itself cut otherwise and in a stream.
func checkDNS(t testing.TB, r *DNSRun, msg []byte, random *rand.Rand) (accepted bool) {
	t.Helper()
	agree(t, r, msg)
	want := dnsSays(r, msg, true, Cut{})
	cut := randomCut(len(msg), random)
	if got := dnsSays(r, msg, true, cut); !slices.Equal(got, want) {
		t.Fatalf("%x, cut %+v\nsays%s\nwant%s", msg, cut, lines(pointers(got)), lines(pointers(want)))
	}
	if len(want) != 1 || len(msg) < 12 || len(msg) > 0xffff {
		return false
	}
	got := dnsSays(r, dnsStream(msg, msg), false, cut)
	accepted = want[0].Flags&FlagError == 0
	told := 1
	if accepted {
		told = 2
	}
	if len(got) != told {
		t.Fatalf("%x twice in a stream says%s\nas a datagram%s", msg, lines(pointers(got)), lines(pointers(want)))
	}
	for i := range got {
		got[i].At -= uint32(2 + i*(len(msg)+2))
	}
	if want[0].Reason.String() == "truncated" || got[0] != want[0] || got[told-1].DNSOut != want[0].DNSOut {
		t.Fatalf("%x in a stream says%s\nas a datagram%s", msg, lines(pointers(got)), lines(pointers(want)))
	}
	return accepted
}

// Changed messages are read as libraries read them, or not at all.
func TestDNSMutations(t *testing.T) {
	rounds := 100_000
	if !testing.Short() {
		rounds = 5_000_000
	}
	samples, err := DNSSamples()
	if err != nil {
		t.Fatal(err)
	}
	var seeds [][]byte
	for _, s := range samples {
		if s.Argument == 0 {
			s.Bytes = s.Bytes[2:][:binary.BigEndian.Uint16(s.Bytes)]
		}
		seeds = append(seeds, s.Bytes)
	}
	var r DNSRun
	random := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	for range rounds {
		msg := mutateBytes(random, seeds[random.IntN(len(seeds))], seeds[random.IntN(len(seeds))], dnsWords)
		if checkDNS(t, &r, msg, random) {
			accepted++
		}
	}
	if accepted < rounds/10 {
		t.Errorf("%d of %d messages accepted: too few to say something", accepted, rounds)
	}
	t.Logf("%d messages, %d accepted", rounds, accepted)
}

func FuzzDNS(f *testing.F) {
	samples, err := DNSSamples()
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range samples {
		f.Add(s.Bytes, uint64(i))
	}
	f.Fuzz(func(t *testing.T, msg []byte, seed uint64) {
		checkDNS(t, new(DNSRun), msg, rand.New(rand.NewPCG(seed, 0)))
	})
}

package bpf

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/native"
)

// parserBudget is the most instructions that the verifier may walk for a program
// with one parser in it.
const parserBudget = 60_000

// kernelParser runs a parser in the kernel: the program of a unit that package
// native has too, over a stream in a map.
type kernelParser struct {
	program *ebpf.Program
	runs    *ebpf.Map
}

func loadKernelParser(t testing.TB, load func() (*ebpf.CollectionSpec, error), program string) kernelParser {
	t.Helper()
	lab.RequireRoot(t)
	spec, err := load()
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("load %s: %+v", program, err)
	}
	t.Cleanup(coll.Close)
	k := kernelParser{coll.Programs[program], coll.Maps["runs"]}
	info, err := k.program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if steps, ok := info.VerifiedInstructions(); ok {
		t.Logf("%s: %d of %d steps", program, steps, parserBudget)
		if steps > parserBudget {
			t.Errorf("%s: the verifier walked %d instructions, the budget is %d", program, steps, parserBudget)
		}
	}
	return k
}

// run puts a run into the map, runs the program, and takes the run out again.
func (k kernelParser) run(t testing.TB, run []byte) {
	t.Helper()
	if err := k.runs.Put(uint32(0), run); err != nil {
		t.Fatal(err)
	}
	if ret, err := k.program.Run(&ebpf.RunOptions{}); err != nil || ret != 0 {
		t.Fatalf("run %v: %d, %v", k.program, ret, err)
	}
	if err := k.runs.Lookup(uint32(0), run); err != nil {
		t.Fatal(err)
	}
}

func http1Bytes(r *native.HTTP1Run) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
}

// The kernel tells of every captured stream what it tells outside of the kernel.
func TestKernelParsesHTTP1(t *testing.T) {
	k := loadKernelParser(t, loadHttp1, "http1_parse")
	samples, err := native.HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	r := new(native.HTTP1Run)
	for _, s := range samples {
		for _, cut := range []native.Cut{{}, {Window: 1, Poison: '\n'}, {Window: 7, Poison: ':'}, {At: []int{20, 30, 47}, Poison: '\r'}} {
			native.LoadHTTP1(r, s.Stream, cut)
			k.run(t, http1Bytes(r))
			if got := native.TellHTTP1(r); !slices.Equal(got, s.Told) {
				t.Errorf("%s, cut %+v: told\n%s\nwant\n%s", s.Name, cut, strings.Join(got, "\n"), strings.Join(s.Told, "\n"))
			}
		}
	}
}

// What the parser takes is detected, and the beginnings of other protocols are not.
func TestKernelDetectsHTTP1(t *testing.T) {
	k := loadKernelParser(t, loadHttp1, "http1_begins")
	verdict := func(begin []byte) uint32 {
		r := new(native.HTTP1Run)
		native.LoadHTTP1(r, native.Stream{Bytes: begin}, native.Cut{})
		if err := k.runs.Put(uint32(0), http1Bytes(r)); err != nil {
			t.Fatal(err)
		}
		ret, err := k.program.Run(&ebpf.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return ret
	}
	samples, err := native.HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		want := uint32(native.IsRequest)
		if s.Responses {
			want = native.IsResponse
		}
		if got := verdict(s.Bytes); got != want {
			t.Errorf("%s: verdict %d, want %d", s.Name, got, want)
		}
	}
	for _, begin := range []string{"\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "*1\r\n$4\r\nPING\r\n"} {
		if got := verdict([]byte(begin)); got != native.IsNot {
			t.Errorf("%q: verdict %d", begin, got)
		}
	}
}

func BenchmarkKernelHTTP1(b *testing.B) {
	k := loadKernelParser(b, loadHttp1, "http1_parse")
	for _, head := range native.HTTP1Heads {
		b.Run(head.Name, func(b *testing.B) {
			r := new(native.HTTP1Run)
			native.LoadHTTP1(r, head, native.Cut{})
			r.Plain, r.EOF, r.Repeat = true, false, uint32(b.N)
			k.run(b, http1Bytes(r))
			if r.Notes != 1 {
				b.Fatalf("told %q", native.TellHTTP1(r))
			}
			b.ReportMetric(float64(r.NS)/float64(b.N), "ns/head")
			b.ReportMetric(float64(r.Steps), "windows/head")
		})
	}
}

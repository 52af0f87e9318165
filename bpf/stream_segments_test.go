package bpf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
)

// pieces cuts what is said in a turn at these offsets of the stream.
func pieces(stream []byte, from, to int, at ...int) (all []lab.Segment) {
	for _, cut := range append(at, to) {
		if cut > from && cut <= to {
			all = append(all, lab.Segment{At: from, Data: stream[from:cut]})
			from = cut
		}
	}
	return all
}

func cutAt(at ...int) shape {
	return func(stream []byte, from, to int) []lab.Segment { return pieces(stream, from, to, at...) }
}

// every cuts into segments of n bytes.
func every(n int) shape {
	return func(stream []byte, from, to int) []lab.Segment {
		var at []int
		for cut := from + n; cut < to; cut += n {
			at = append(at, cut)
		}
		return pieces(stream, from, to, at...)
	}
}

// head is how much of what is said in a turn is cut small where so many segments
// would fill a socket's buffer: its program would wake and race with them.
const head = 300

// begin cuts the head of what is said into segments of n bytes.
func begin(n int) shape {
	return func(stream []byte, from, to int) []lab.Segment {
		var at []int
		for cut := from + n; cut < min(to, from+head); cut += n {
			at = append(at, cut)
		}
		return pieces(stream, from, to, at...)
	}
}

// then changes the segments that a shape makes.
func (s shape) then(change func([]lab.Segment) []lab.Segment) shape {
	return func(stream []byte, from, to int) []lab.Segment { return change(s(stream, from, to)) }
}

// twice sends each segment twice.
func twice(all []lab.Segment) (out []lab.Segment) {
	for _, s := range all {
		out = append(out, s, s)
	}
	return out
}

// overlapping makes segments of up to n bytes that begin up to n bytes before the
// end of what was sent, and now and then all at the beginning.
func overlapping(n int) shape {
	return func(stream []byte, from, to int) (all []lab.Segment) {
		random := rand.New(rand.NewPCG(uint64(n), uint64(len(stream)+from)))
		last := from
		for sent := from; sent < min(to, from+head); {
			at := max(from, sent-random.IntN(n+1))
			if random.IntN(8) == 0 {
				at = from
			}
			end := min(to, at+1+random.IntN(n+n))
			all = append(all, lab.Segment{At: at, Data: stream[at:end]})
			sent = max(sent, end)
			last = sent
		}
		return append(all, pieces(stream, last, to)...)
	}
}

func TestStreamWhole(t *testing.T) {
	s := newStage(t)
	for _, v6 := range []bool{false, true} {
		var all []variant
		for _, d := range captured(t) {
			all = append(all, variant{name: d.name, d: d, shape: whole, v6: v6}, variant{name: d.name + ", FIN with data", d: d, shape: whole, v6: v6, end: endWithFIN})
		}
		s.serve(all...)
		s.ask(all...)
	}
	s.nothingUnseen()
}

// cutVariants cuts a stream at every byte of its heads, and at some of its bodies; a
// short run at every seventh of these.
func cutVariants(all []*dialogue, server bool) (variants []variant) {
	for _, d := range all {
		stream, ends, _ := d.side(server)
		for at := 1; at < len(stream); at++ {
			near := slices.ContainsFunc(append(ends, 0), func(end int) bool { return at > end-5 && at < end+260 })
			if (near || at%89 == 0) && (!testing.Short() || at < 40 || at%7 == 0) {
				variants = append(variants, variant{name: fmt.Sprintf("%s, cut at %d", d.name, at), d: d, shape: cutAt(at), v6: at%7 == 0})
			}
		}
	}
	return variants
}

func TestStreamCutAnywhere(t *testing.T) {
	s := newStage(t)
	all := captured(t)
	s.serve(cutVariants(all, false)...)
	s.ask(cutVariants(all, true)...)
	s.nothingUnseen()
}

func TestStreamSegments(t *testing.T) {
	s := newStage(t)
	var all []variant
	for _, d := range captured(t) {
		for name, shape := range map[string]shape{
			"byte by byte":            begin(1),
			"7 bytes":                 every(7),
			"112 bytes":               every(112),
			"113 bytes, each twice":   every(113).then(twice),
			"whole, twice":            shape(whole).then(twice),
			"3 bytes, each twice":     begin(3).then(twice),
			"overlapping a little":    overlapping(5),
			"overlapping much":        overlapping(40),
			"overlapping, each twice": overlapping(90).then(twice),
		} {
			all = append(all, variant{name: d.name + ", " + name, d: d, shape: shape, asleep: true})
		}
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

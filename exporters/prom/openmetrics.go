package prom

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// omText writes families of counters and histograms as OpenMetrics, byte for
// byte as expfmt does. That writes a name, its check and each label for every line,
// which was most of what a scrape took: a histogram has seventeen lines with the same
// labels. It knows no more than what a gatherer gives: no units, no times of samples,
// and only names that need no quotes.
//
// As an io.Writer it takes what others write in between. Not safe for concurrent use.
type omText struct {
	out    io.Writer
	buf    []byte
	err    error    // the first of out's; what comes after it is dropped
	labels []byte   // of the metric at work, with the opening brace and without the closing one
	bounds [][]byte // those of the buckets before, in words
	words  []float64
}

// pieceSize is how much is written at once.
const pieceSize = 32 << 10

func newOMText(out io.Writer) *omText {
	return &omText{out: out, buf: make([]byte, 0, pieceSize+pieceSize/8)}
}

// Write keeps p to be written with the rest. Its error may be one of an earlier call.
func (t *omText) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	t.flushIf(pieceSize)
	return len(p), t.err
}

// Flush writes what is kept.
func (t *omText) Flush() error {
	t.flushIf(1)
	return t.err
}

func (t *omText) flushIf(size int) {
	if len(t.buf) < size {
		return
	}
	if t.err == nil {
		_, t.err = t.out.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// family writes f. Its error may be one of an earlier call.
func (t *omText) family(f *dto.MetricFamily) error {
	name, kind := f.GetName(), " counter\n"
	if f.GetType() == dto.MetricType_HISTOGRAM {
		kind = " histogram\n"
	}
	base := strings.TrimSuffix(name, "_total")
	t.buf = append(append(append(t.buf, "# HELP "...), base...), ' ')
	t.buf = append(appendEscaped(t.buf, f.GetHelp()), '\n')
	t.buf = append(append(append(t.buf, "# TYPE "...), base...), kind...)
	for _, m := range f.Metric {
		t.labels = appendLabels(t.labels[:0], m.Label)
		if m.Histogram != nil {
			t.histogram(name, m.Histogram)
		} else {
			t.begin(name, "")
			t.buf = append(appendFloat(t.buf, m.Counter.GetValue()), '\n')
		}
		t.flushIf(pieceSize)
	}
	return t.err
}

// begin writes a line up to its value.
func (t *omText) begin(name, suffix string) {
	t.buf = append(append(t.buf, name...), suffix...)
	if len(t.labels) > 0 {
		t.buf = append(append(t.buf, t.labels...), '}')
	}
	t.buf = append(t.buf, ' ')
}

func (t *omText) histogram(name string, h *dto.Histogram) {
	infinite := false
	for i, b := range h.Bucket {
		t.bucket(name, t.bound(i, b.GetUpperBound()), b.GetCumulativeCount(), b.Exemplar)
		infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
	}
	if !infinite {
		t.bucket(name, []byte("+Inf"), h.GetSampleCount(), nil)
	}
	t.begin(name, "_sum")
	t.buf = append(appendFloat(t.buf, h.GetSampleSum()), '\n')
	t.begin(name, "_count")
	t.buf = append(strconv.AppendUint(t.buf, h.GetSampleCount(), 10), '\n')
}

func (t *omText) bucket(name string, bound []byte, n uint64, x *dto.Exemplar) {
	t.buf = append(append(t.buf, name...), "_bucket"...)
	if len(t.labels) > 0 {
		t.buf = append(append(t.buf, t.labels...), ',')
	} else {
		t.buf = append(t.buf, '{')
	}
	t.buf = append(append(append(t.buf, `le="`...), bound...), `"} `...)
	t.buf = strconv.AppendUint(t.buf, n, 10)
	if x != nil {
		t.buf = append(appendLabels(append(t.buf, " # "...), x.Label), "} "...)
		t.buf = append(appendFloat(t.buf, x.GetValue()), ' ')
		t.buf = appendFloat(t.buf, float64(x.GetTimestamp().AsTime().UnixNano())/1e9)
	}
	t.buf = append(t.buf, '\n')
}

// bound is a bucket's upper bound in words, which is mostly that of the bucket of
// this number of the metric before.
func (t *omText) bound(i int, upper float64) []byte {
	if i == len(t.bounds) {
		t.bounds, t.words = append(t.bounds, nil), append(t.words, math.NaN())
	}
	if t.words[i] != upper {
		t.words[i], t.bounds[i] = upper, appendFloat(t.bounds[i][:0], upper)
	}
	return t.bounds[i]
}

// appendLabels writes labels without the closing brace; of none nothing.
func appendLabels(b []byte, labels []*dto.LabelPair) []byte {
	separator := byte('{')
	for _, l := range labels {
		b = append(append(append(b, separator), l.GetName()...), `="`...)
		b = append(appendEscaped(b, l.GetValue()), '"')
		separator = ','
	}
	return b
}

// appendEscaped writes text that stands in quotes, or in a line of its own.
func appendEscaped(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\\\"\n") {
		return append(b, s...)
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendFloat writes a number so that it is seen not to be a whole one.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "+Inf"...)
	case math.IsInf(f, -1):
		return append(b, "-Inf"...)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[from:], "e.") {
		b = append(b, ".0"...)
	}
	return b
}

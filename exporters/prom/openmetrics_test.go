package prom

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Whatever the labels and numbers, a line is what the library writes.
func FuzzOpenMetrics(f *testing.F) {
	f.Add("weir", "a\"b\\c\n", 1e6, uint64(7), int64(1_700_000_000_123_456_789))
	f.Add("é", "", math.Inf(1), uint64(math.MaxUint64), int64(0))
	f.Add("", "\xff", math.NaN(), uint64(0), int64(math.MinInt64))
	f.Add("x", "y", -1., uint64(1), int64(-1))
	f.Fuzz(func(t *testing.T, one, two string, number float64, n uint64, at int64) {
		help := one + two
		labels := []*dto.LabelPair{{Name: new("a"), Value: &one}, {Name: new("b"), Value: &two}}
		x := &dto.Exemplar{Label: labels[1:], Value: &number, Timestamp: timestamppb.New(time.Unix(0, at))}
		buckets := func(bounds ...float64) (out []*dto.Bucket) {
			for _, b := range bounds {
				out = append(out, &dto.Bucket{CumulativeCount: &n, UpperBound: &b})
			}
			return out
		}
		ended := buckets(1, number, 1e-300, math.Inf(1))
		ended[1].Exemplar, ended[3].Exemplar = x, x
		families := []*dto.MetricFamily{
			{Name: new("c_total"), Help: &help, Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{
				{Label: labels, Counter: &dto.Counter{Value: &number}},
				{Counter: &dto.Counter{Value: new(float64(n))}},
			}},
			{Name: new("h_seconds"), Help: &help, Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{
				{Label: labels, Histogram: &dto.Histogram{SampleCount: &n, SampleSum: &number, Bucket: ended}},
				{Histogram: &dto.Histogram{SampleCount: &n, SampleSum: &number, Bucket: buckets(number, 2, 2.5)}},
				{Label: labels[:1], Histogram: &dto.Histogram{SampleCount: &n, SampleSum: &number, Bucket: buckets(1, 2)}},
			}},
		}
		var got, want bytes.Buffer
		text := newOMText(&got)
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToOpenMetrics(&want, f); err != nil {
				t.Skip(err)
			}
			if err := text.family(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := text.Flush(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("differs: %s", difference(got.Bytes(), want.Bytes()))
		}
	})
}

// broken is a client that goes after some bytes.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("gone")
	}
	return len(p), nil
}

// Pieces of some size are written, and nothing after an error.
func TestOpenMetricsWrites(t *testing.T) {
	client := &broken{left: 3 * pieceSize}
	text := newOMText(client)
	var err error
	lines := 0
	for ; err == nil && lines < 1e6; lines++ {
		_, err = text.Write([]byte("0123456789\n"))
	}
	if err == nil || lines < 2*pieceSize/11 {
		t.Errorf("error %v after %d lines, want one when the client is gone", err, lines)
	}
	client.left = pieceSize
	if text.Flush() == nil || client.left != pieceSize {
		t.Error("something was written after an error")
	}
}

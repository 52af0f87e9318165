package whole

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
)

// operation is one kind of exchange, as servers write it down and weir counts it.
// A status of 0 is no answer.
type operation struct {
	Method, Path string
	Status       int
}

// counts are exchanges by operation.
type counts map[operation]int

func (c counts) total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// difference says in words what two accounts do not agree on; "" where they do.
func (c counts) difference(mine, other string, o counts) string {
	all := maps.Clone(c)
	maps.Copy(all, o)
	var b strings.Builder
	for _, op := range slices.SortedFunc(maps.Keys(all), func(a, b operation) int {
		return strings.Compare(fmt.Sprint(a.Path, a), fmt.Sprint(b.Path, b))
	}) {
		if c[op] != o[op] {
			fmt.Fprintf(&b, "\n\t%s %s %d: %s %d, %s %d", op.Method, op.Path, op.Status, mine, c[op], other, o[op])
		}
	}
	return b.String()
}

// The metrics of HTTP.
const (
	httpServed = "http_server_request_duration_seconds"
	httpAsked  = "http_client_request_duration_seconds"
)

// scrape reads the daemon's metrics in the format that has native histograms.
func (d *daemon) scrape(t testing.TB) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+d.serves+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	families := map[string]*dto.MetricFamily{}
	for in := bufio.NewReader(resp.Body); ; {
		var f dto.MetricFamily
		err := protodelim.UnmarshalOptions{MaxSize: 64 << 20}.UnmarshalFrom(in, &f)
		if errors.Is(err, io.EOF) {
			return families
		}
		if err != nil {
			t.Fatalf("scrape: %v", err)
		}
		families[f.GetName()] = &f
	}
}

// series are those of a metric that have all the labels, given as name, value….
func series(families map[string]*dto.MetricFamily, name string, labels ...string) []*dto.Metric {
	var list []*dto.Metric
	for _, m := range families[name].GetMetric() {
		fits := true
		for i := 0; i < len(labels); i += 2 {
			fits = fits && labelOf(m, labels[i]) == labels[i+1]
		}
		if fits {
			list = append(list, m)
		}
	}
	return list
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// between selects the series of a pair of workloads.
func between(client, server string) []string {
	return []string{"source_workload", client, "destination_workload", server}
}

// counted reads a histogram of HTTP into counts.
func counted(t testing.TB, metrics []*dto.Metric) counts {
	t.Helper()
	c := counts{}
	for _, m := range metrics {
		op := operation{Method: labelOf(m, "http_request_method"), Path: labelOf(m, "http_route")}
		if s := labelOf(m, "http_response_status_code"); s != "" {
			var err error
			if op.Status, err = strconv.Atoi(s); err != nil {
				t.Fatalf("status %q", s)
			}
		}
		h := m.GetHistogram()
		if n := bucketed(h); n != h.GetSampleCount() {
			t.Errorf("%v: count %d, in its buckets %d", op, h.GetSampleCount(), n)
		}
		c[op] += int(h.GetSampleCount())
	}
	return c
}

// bucketed sums a native histogram's buckets.
func bucketed(h *dto.Histogram) uint64 {
	n := h.GetZeroCount()
	for _, b := range buckets(h) {
		n += b.count
	}
	return n
}

type bucket struct {
	index int32
	count uint64
}

// buckets are those of a native histogram in ascending order.
func buckets(h *dto.Histogram) (list []bucket) {
	index, count, next := int32(0), int64(0), 0
	for _, s := range h.GetPositiveSpan() {
		index += s.GetOffset()
		for range s.GetLength() {
			count += h.GetPositiveDelta()[next]
			next++
			list = append(list, bucket{index, uint64(count)})
			index++
		}
	}
	return list
}

// medianOf interpolates in the bucket that holds the median, as PromQL does it for
// native histograms.
func medianOf(h *dto.Histogram) time.Duration {
	left := float64(h.GetSampleCount())/2 - float64(h.GetZeroCount())
	base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
	for _, b := range buckets(h) {
		if n := float64(b.count); left <= n && n > 0 {
			return time.Duration(math.Pow(base, float64(b.index-1)+max(left, 0)/n) * 1e9)
		}
		left -= float64(b.count)
	}
	return 0
}

// awaitCounts waits until weir counted between two workloads what a log says, at
// both of them, and that it stays so. Where a workload is no container it is "".
func (d *daemon) awaitCounts(t testing.TB, client, server string, logged counts) {
	t.Helper()
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		var wrong string
		for _, metric := range []string{httpServed, httpAsked} {
			c := counted(t, series(families, metric, between(client, server)...))
			if diff := logged.difference("logged", "counted", c); diff != "" {
				wrong += "\n" + metric + " from " + client + " to " + server + ":" + diff
			}
		}
		return wrong
	})
}

// await looks at the metrics until they are right, and once more later: a count
// that comes twice must not pass because it was looked at in between.
func (d *daemon) await(t testing.TB, wrong func(map[string]*dto.MetricFamily) string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		words := wrong(d.scrape(t))
		if words == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%s\n%s\n%s", words, unseenIn(d.scrape(t)), d.log.String())
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond)
	if words := wrong(d.scrape(t)); words != "" {
		t.Errorf("later: %s", words)
	}
}

// unseenIn says what weir says that it did not see.
func unseenIn(families map[string]*dto.MetricFamily) string {
	var b strings.Builder
	for _, name := range []string{"weir_l7_unseen_stretches_total", "weir_lost_total"} {
		for _, m := range families[name].GetMetric() {
			if v := m.GetCounter().GetValue(); v > 0 {
				fmt.Fprintf(&b, "%s %v %v; ", name, m.GetLabel(), v)
			}
		}
	}
	return b.String()
}

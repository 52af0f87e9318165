package convert_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/internal/jsonpb"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// What is lent is what is given, record after record.
func TestLend(t *testing.T) {
	c := convert.New("node-1", "1.2.3")
	rapid.Check(t, func(t *rapid.T) {
		r := recordtest.Any().Draw(t, "record")
		want := c.Flow(&r)
		if got := c.Lend(&r); !proto.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// The extensions as JSON are what protojson makes of them, in its order: that of their
// names.
func TestAppendExtensions(t *testing.T) {
	c := convert.New("node-1", "1.2.3")
	rapid.Check(t, func(t *rapid.T) {
		r := recordtest.Any().Draw(t, "record")
		f := c.Flow(&r)
		c.Extend(f, &r)
		want, err := json.Marshal(&flowpb.Flow{Extensions: f.Extensions})
		if err != nil {
			t.Fatal(err)
		}
		got := c.AppendExtensions([]byte(`{"extensions":`), &r)
		if want = jsonpb.Printable(nil, want); string(got)+"}" != string(want) {
			t.Fatalf("got  %s}\nwant %s", got, want)
		}
	})
}

// Where one unit ends and the next begins.
func TestUnitsMeet(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 340_000: "340 kB",
		1_250_000_000: "1.3 GB", math.MaxUint64: "18 EB",
	} {
		if got := convert.Bytes(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0µs", 40 * time.Microsecond: "40µs", 94_999: "95µs", 400 * time.Microsecond: "0.4ms", 9_949_999: "9.9ms", 9_950_000: "10ms", 999_499_999: "999ms",
		999_500_000: "1.0s", 59_499 * time.Millisecond: "59s", 59_500 * time.Millisecond: "1m0s", 125 * time.Second: "2m5s", 190 * time.Minute: "3h10m",
		-400 * time.Microsecond: "-0.4ms",
	} {
		if got := convert.Duration(d); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}

// An end is named as flows name it.
func TestNamed(t *testing.T) {
	c := convert.New("node-1", "1.2.3")
	rapid.Check(t, func(t *rapid.T) {
		r := recordtest.Any().Draw(t, "record")
		client, server := &r.Flow.Client, &r.Flow.Server
		if r.L7 != nil {
			client, server = &r.L7.Client, &r.L7.Server
		}
		f := c.Flow(&r)
		src, dst := f.GetSource(), f.GetDestination()
		if f.GetIsReply().GetValue() {
			src, dst = dst, src
		}
		for end, as := range map[*flow.Endpoint]*flowpb.Endpoint{client: src, server: dst} {
			workload := ""
			if len(as.GetWorkloads()) > 0 {
				workload = as.GetWorkloads()[0].GetName()
			}
			if pod, w := c.Named(end); pod != as.GetPodName() || w != workload {
				t.Fatalf("%q, %q of %v", pod, w, as)
			}
		}
	})
}

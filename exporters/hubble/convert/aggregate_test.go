package convert_test

import (
	"math"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// A flow that stands for more says so as Hubble does, and in the text that every client
// shows.
func TestAggregate(t *testing.T) {
	c := convert.New("node", "1.0")
	for _, tc := range []struct {
		client, server  bool
		more            uint64
		egress, ingress uint32
		unknown         uint32
	}{
		{client: true, server: true, more: 88, egress: 89},
		{server: true, more: 1, ingress: 2},
		{more: math.MaxUint64, unknown: math.MaxUint32},
		{client: true},
	} {
		r := recordtest.New(1, flow.RecordEnd)
		r.Flow.Client.Seen, r.Flow.Server.Seen, r.More = tc.client, tc.server, tc.more
		f := c.Flow(&r)
		a := f.GetAggregate()
		if a.GetEgressFlowCount() != tc.egress || a.GetIngressFlowCount() != tc.ingress || a.GetUnknownDirectionFlowCount() != tc.unknown {
			t.Errorf("%+v: %v", tc, a)
		}
		//lint:ignore SA1019 the text that is shown
		if text := f.GetSummary(); strings.HasSuffix(text, " more like it") != (tc.more > 0) {
			t.Errorf("%+v: %q", tc, text)
		}
		if got := convert.More(f); got != min(tc.more, math.MaxUint32-1) {
			t.Errorf("%+v: %d more", tc, got)
		}
	}
}

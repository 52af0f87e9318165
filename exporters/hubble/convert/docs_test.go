package convert_test

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/internal/recordtest"
)

// Every key that can stand in the extensions is in the documentation.
func TestExtensionsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/hubble-extensions.md")
	if err != nil {
		t.Fatal(err)
	}
	r := recordtest.New(3, flow.RecordDrop)
	f, one := &r.Flow, flow.Counters{Packets: 1, Payload: 1, Wire: 1}
	f.Ended, f.End, f.Preexisting, f.Retransmits = recordtest.Epoch, flow.EndClosed, true, 1
	f.Sent, f.Received, r.Delta = one, one, flow.Delta{Sent: one, Received: one, Retransmits: 1}
	f.ServerXlated, f.ClientXlated, f.Client.Via = f.Server.Addr, f.Client.Addr, "docker-proxy"
	f.Client.Workload.Addrs, f.Client.Workload.Pending = append(f.Client.Workload.Addrs, f.Client.Addr.Addr()), true
	c := convert.New("node", "1")
	out := c.Flow(&r)
	c.Extend(out, &r)
	var s structpb.Struct
	if err := out.Extensions.UnmarshalTo(&s); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(*structpb.Struct)
	walk = func(s *structpb.Struct) {
		for k, v := range s.GetFields() {
			n++
			if !strings.Contains(string(page), "`"+k+"`") {
				t.Errorf("docs/hubble-extensions.md does not have `%s`", k)
			}
			walk(v.GetStructValue())
		}
	}
	walk(&s)
	if n < 50 {
		t.Errorf("%d keys: the record is not full", n)
	}
}

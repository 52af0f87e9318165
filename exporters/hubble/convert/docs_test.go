package convert_test

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// Every key that can stand in the extensions is in the documentation.
func TestExtensionsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/hubble-extensions.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]bool)
	c := convert.New("node", "1")
	for _, r := range full() {
		out := c.Flow(&r)
		c.Extend(out, &r)
		var s structpb.Struct
		if err := out.Extensions.UnmarshalTo(&s); err != nil {
			t.Fatal(err)
		}
		collect(keys, &s)
	}
	for k := range keys {
		if !strings.Contains(string(page), "`"+k+"`") {
			t.Errorf("docs/hubble-extensions.md does not have `%s`", k)
		}
	}
	if len(keys) < 90 {
		t.Errorf("%d keys: the records are not full", len(keys))
	}
}

func collect(keys map[string]bool, s *structpb.Struct) {
	for k, v := range s.GetFields() {
		keys[k] = true
		collect(keys, v.GetStructValue())
	}
}

// full are records with something in every field.
func full() []flow.Record {
	r := recordtest.New(3, flow.RecordDrop)
	f, one := &r.Flow, flow.Counters{Packets: 1, Payload: 1, Wire: 1}
	f.Ended, f.End, f.Preexisting, f.Retransmits = recordtest.Epoch, flow.EndClosed, true, 1
	f.Sent, f.Received, r.Delta = one, one, flow.Delta{Sent: one, Received: one, Retransmits: 1}
	f.ServerXlated, f.ClientXlated, f.Client.Via = f.Server.Addr, f.Client.Addr, "docker-proxy"
	f.Client.Workload.Addrs, f.Client.Workload.Pending = append(f.Client.Workload.Addrs, f.Client.Addr.Addr()), true
	list := []flow.Record{r}
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		r := recordtest.Exchange(3, p)
		x := r.L7.Exchange
		r.L7.Both, r.L7.Error, x.Peer, x.Status = true, true, 8, 500
		switch p {
		case flow.HTTP:
			x.HTTP.Cut, x.HTTP.Upgrade = true, "websocket"
		case flow.DNS:
			x.Status, x.DNS.CNAMEs = flow.NoAnswer, 1
		case flow.TLS:
			x.TLS.Chosen, x.TLS.Alert, x.TLS.Resumed, x.TLS.ECH = "h2", 40, true, true
		}
		list = append(list, r, recordtest.Tally(r, 2))
	}
	return list
}

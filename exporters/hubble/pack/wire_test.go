package pack_test

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

var update = flag.Bool("update", false, "write the golden batch anew")

// What is written down is read again, but for what was to be left out.
func TestWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(recordtest.Any(), 0, 8).Draw(t, "records")
		without := rapid.SliceOfN(rapid.Bool(), len(all), len(all)).Draw(t, "without")
		var p pack.Packer
		var want []flow.Record
		for i := range all {
			p.Add(&all[i])
			if !without[i] {
				want = append(want, all[i])
			}
		}
		raw := p.Seal().Append([]byte("before"), without)
		got, err := pack.Parse(bytes.TrimPrefix(raw, []byte("before")))
		if err != nil {
			t.Fatal(err)
		}
		if list := unpack(got); !reflect.DeepEqual(list, want) {
			t.Fatalf("got  %+v\nwant %+v", list, want)
		}
		first, last := got.Times()
		for _, r := range want {
			if r.Time < first || r.Time > last {
				t.Fatalf("time %d outside of [%d,%d]", r.Time, first, last)
			}
		}
	})
}

func unpack(b *pack.Batch) (out []flow.Record) {
	for i := range b.Len() {
		var r flow.Record
		b.At(i, &r)
		out = append(out, r)
	}
	return out
}

// golden are records with all that the format has.
func golden() (out []flow.Record) {
	for kind := flow.RecordStart; kind <= flow.RecordDrop; kind++ {
		out = append(out, recordtest.New(uint64(len(out)), kind))
	}
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		x := recordtest.Exchange(uint64(len(out)), p)
		out = append(out, x, recordtest.Tally(x, 3))
	}
	v := recordtest.New(9, flow.RecordVerdict)
	v.Verdict, v.Flow.Server.Workload = flow.VerdictAudit, recordtest.Host()
	v.Flow.ServerXlated, v.Flow.Preexisting, v.Flow.ICMPType = v.Flow.Client.Addr, true, 8
	v.Judged = &flow.Judged{
		Cgroup: 4711, Ingress: true, Denied: true, Ended: true, Protocol: flow.TCP, Local: v.Flow.Server.Addr, Remote: v.Flow.Client.Addr, Port: 5432,
		PID: 12, Comm: flow.MakeComm("psql"), Asked: "?", Count: 2, Rule: "allow db", By: []flow.PolicyRef{{Name: "db", Kind: "Guard", Mode: "audit", Section: "guard", Index: 1}},
	}
	v.Delta = flow.Delta{Sent: flow.Counters{Packets: 1, Payload: 2, Wire: 3}, Retransmits: 4}
	return append(out, v)
}

// What a weir of the past has written is read for ever, and as what it was: a change
// of the format, or of the numbers that package flow gives, needs a new version of it
// and not a new golden batch.
func TestFormatStays(t *testing.T) {
	const present = "testdata/batch-2"
	first := golden()
	records := golden()
	for i := range first {
		if r := records[i]; r.Kind == flow.RecordEnd || r.L7 != nil && r.L7.Exchange != nil {
			r.More = 300 // the second format has these
			records = append(records, r)
		}
	}
	var p pack.Packer
	for i := range records {
		p.Add(&records[i])
	}
	now := p.Seal().Append(nil, nil)
	if *update {
		if err := os.WriteFile(present, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string][]flow.Record{"testdata/batch-1": first, present: records} {
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b, err := pack.Parse(was)
		if err != nil {
			t.Fatal(err)
		}
		if got := unpack(b); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", file, got, want)
		}
		if file == present && !bytes.Equal(now, was) {
			t.Error("the same records are written in another form than before")
		}
	}
}

// The numbers that the format has of package flow.
func TestNumbersStay(t *testing.T) {
	for i, list := range [][]int{
		{0, int(flow.RecordStart), int(flow.RecordUpdate), int(flow.RecordEnd), int(flow.RecordDrop), int(flow.RecordL7), int(flow.RecordVerdict)},
		{int(flow.VerdictUnknown), int(flow.VerdictForwarded), int(flow.VerdictDropped), int(flow.VerdictError), int(flow.VerdictAudit)},
		{int(flow.RoleUnknown), int(flow.RoleClient), int(flow.RoleServer)},
		{int(flow.L7None), int(flow.HTTP), int(flow.DNS), int(flow.TLS)},
		{0, int(flow.WhyNew), int(flow.WhyError), int(flow.WhySlow), int(flow.WhySample)},
		{
			int(flow.EndNone), int(flow.EndClosed), int(flow.EndResetLocal), int(flow.EndResetRemote), int(flow.EndRefused), int(flow.EndTimedOut),
			int(flow.EndUnreachable), int(flow.EndAborted), int(flow.EndIdle), int(flow.EndLost),
		},
	} {
		for want, got := range list {
			if got != want {
				t.Errorf("list %d: %d has become %d", i, want, got)
			}
		}
	}
	if flow.NoAnswer != 0xffff {
		t.Errorf("no answer is %#x", flow.NoAnswer)
	}
}

// Whatever bytes there are, they give an error or a batch that can be used and
// written again.
func FuzzParse(f *testing.F) {
	was, err := os.ReadFile("testdata/batch-1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(was)
	f.Add(was[:len(was)-1])
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := pack.Parse(raw)
		if err != nil {
			return
		}
		for i := range b.Len() {
			_, _ = b.Kind(i), b.Tally(i)
		}
		again, err := pack.Parse(b.Append(nil, nil))
		if err != nil || !reflect.DeepEqual(unpack(again), unpack(b)) {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}

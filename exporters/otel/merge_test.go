package otel

import (
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

// Beyond the budget alike flows are one record, which says so.
func TestMergedRecords(t *testing.T) {
	e := exporter(t, Config{Budget: 3})
	var many []flow.Record
	for i := range 50 {
		r := connection(flow.RecordEnd, front, back)
		r.Flow.ID = uint64(i)
		many = append(many, r)
	}
	if got := recordsOf(t, e, many...); len(got) != 4 {
		t.Fatalf("%d records at once", len(got))
	}
	e.merge.Flush(e.record)
	got := recordsOf(t, e)
	if len(got) != 1 {
		t.Fatalf("%d records afterwards", len(got))
	}
	if a := plainly(got[0].Attributes); a[keyMore] != int64(45) || a["weir.flow.sent.bytes"] != int64(46*100) {
		t.Errorf("attributes %v", a)
	}
	if body := got[0].Body.GetStringValue(); body != "tcp shop/front-1 -> shop/back-1:5432 closed, 45 more like it" {
		t.Errorf("body %q", body)
	}
}

// What waits when the end comes is sent.
func TestMergedAtTheEnd(t *testing.T) {
	in := newInbox()
	addr, _ := serveHTTP(t, in, "127.0.0.1:0")
	cfg := quick("http://"+addr, HTTP)
	cfg.Budget = 3
	e := exporter(t, cfg)
	stop := running(t, e)
	var many []flow.Record
	for i := range 50 {
		r := connection(flow.RecordStart, front, back)
		r.Flow.ID = uint64(i)
		many = append(many, r)
	}
	consume(t, e, many...)
	stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.records != 5 {
		t.Errorf("%d records", in.records)
	}
	if got := losses(e); len(got) > 0 {
		t.Errorf("lost %v", got)
	}
}

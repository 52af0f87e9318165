package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func TestRoundTrip(t *testing.T) {
	events := sample()
	got, s, err := read(t, written(t, events))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(events) {
		t.Fatalf("%d events, want %d", len(got), len(events))
	}
	for i := range events {
		if !reflect.DeepEqual(got[i], events[i]) {
			t.Errorf("event %d came back as\n%+v, was\n%+v", i, got[i], events[i])
		}
	}
	if s.Meta() != testMeta {
		t.Errorf("meta %+v", s.Meta())
	}
	if stats := s.Stats(); !reflect.DeepEqual(stats, sampleStats()) {
		t.Errorf("stats %+v", stats)
	}
}

// Every field of an event, and of what it points to, must be in the recording: a
// new one that nobody writes would get lost without this test.
func TestSampleHasEveryField(t *testing.T) {
	var events, unseen []reflect.Value
	for _, ev := range sample() {
		events = append(events, reflect.ValueOf(ev))
	}
	filled(t, events, "Event")
	stats := sampleStats()
	filled(t, []reflect.Value{reflect.ValueOf(stats)}, "SourceStats")
	for _, u := range stats.Unseen {
		unseen = append(unseen, reflect.ValueOf(u))
	}
	filled(t, unseen, "Unseen")
}

// filled tells of every field that is zero in all of the values.
func filled(t *testing.T, vs []reflect.Value, path string) {
	t.Helper()
	if len(vs) == 0 {
		t.Errorf("%s is nowhere in the sample", path)
		return
	}
	if vs[0].Kind() != reflect.Struct || strings.HasPrefix(vs[0].Type().String(), "netip.") {
		for _, v := range vs {
			if !v.IsZero() {
				return
			}
		}
		t.Errorf("%s is nowhere in the sample", path)
		return
	}
	for i := range vs[0].NumField() {
		var fields []reflect.Value
		for _, v := range vs {
			switch f := v.Field(i); {
			case f.Kind() != reflect.Pointer:
				fields = append(fields, f)
			case !f.IsNil():
				fields = append(fields, f.Elem())
			}
		}
		filled(t, fields, path+"."+vs[0].Type().Field(i).Name)
	}
}

func TestFiles(t *testing.T) {
	for _, name := range []string{"plain.jsonl", "packed.jsonl.gz"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := Create(path, testMeta)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(sample()), w.Flush(), w.Close(sampleStats())); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if packed := raw[0] == 0x1f; packed != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s: packed is %v", name, packed)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var g gather
		if err := s.Run(t.Context(), &g); err != nil || len(g.events) != len(sample()) {
			t.Errorf("%s: %d events, error %v", name, len(g.events), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// Cut anywhere, a recording gives what is whole of it and then ErrTruncated.
func TestTruncated(t *testing.T) {
	whole := written(t, sample())
	header := bytes.IndexByte(whole, '\n') + 1
	for cut := header; cut < len(whole); cut++ {
		got, s, err := read(t, whole[:cut])
		if !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut at %d of %d: error %v", cut, len(whole), err)
		}
		want := bytes.Count(whole[header:cut], []byte("\n"))
		if len(got) != want || s.Stats().Total().Delivered != uint64(want) {
			t.Fatalf("cut at %d: %d events, %d counted, want %d", cut, len(got), s.Stats().Total().Delivered, want)
		}
	}
}

// A crash leaves what was flushed, also in a packed recording.
func TestTruncatedGzip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gz")
	w, err := Create(path, testMeta)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(sample()), w.Flush(), w.Write(sample())); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path) // as it is without Close
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := read(t, raw)
	if !errors.Is(err, ErrTruncated) || len(got) != len(sample()) {
		t.Errorf("%d events, error %v", len(got), err)
	}
	w.Close(flow.SourceStats{})
}

func TestBroken(t *testing.T) {
	const head = `{"weir_recording":1,"weir":"1","host":"h","kernel":"k","started":1}` + "\n"
	const open = `{"k":1,"t":5,"s":{"cookie":1,"proto":6,"local":"10.0.0.1:1","remote":"10.0.0.2:2"}}` + "\n"
	for name, tc := range map[string]struct{ recording, want string }{
		"empty":               {"", "test:1:1: nothing in it"},
		"text":                {"hello\n", "test:1:1: first line without"},
		"other JSON":          {`{"a":1}` + "\n", "test:1:1: first line without"},
		"newer version":       {`{"weir_recording":2,"weir":"9"}` + "\n", "test:1:2: format version 2: this weir reads 1"},
		"unknown header":      {`{"weir_recording":1,"moon":"full"}` + "\n", `test:1:21: field "moon": unknown`},
		"unknown kind":        {head + open + `{"k":77,"t":5,"s":{}}` + "\n", "test:3:2: event of kind 77: unknown to this weir"},
		"no kind":             {head + `{"t":5,"s":{"cookie":1}}` + "\n", "event of kind 0: unknown"},
		"unknown field":       {head + `{"k":1,"t":5,"s":{"cookie":1,"sise":4}}` + "\n", `test:2:30: field "sise": unknown`},
		"no content":          {head + `{"k":1,"t":5}` + "\n", "0 contents"},
		"two contents":        {head + `{"k":1,"t":5,"s":{},"cgroup":{}}` + "\n", "2 contents"},
		"other's content":     {head + `{"k":1,"t":5,"cgroup":{"id":1}}` + "\n", "its content is that of another kind"},
		"no JSON":             {head + `{"k":1,,}` + "\n", "test:2:8: invalid character"},
		"half a value":        {head + `{"k":1` + "\n", "test:2:7: the line ends within a value"},
		"two values":          {head + `{"k":1,"t":5,"s":{"cookie":1}} {}` + "\n", "test:2:31: more than one value"},
		"wrong type":          {head + `{"k":1,"t":"x"}` + "\n", "test:2:14: t: a JSON string does not fit"},
		"no time":             {head + `{"k":1,"s":{"cookie":1}}` + "\n", "time 0"},
		"negative time":       {head + `{"k":1,"t":-5,"s":{"cookie":1}}` + "\n", "test:2:8: time -5"},
		"far future":          {head + `{"k":1,"t":9223372036854775807,"s":{"cookie":1}}` + "\n", "time 9223372036854775807"},
		"processor":           {head + `{"k":1,"t":1,"cpu":9999,"s":{"cookie":1}}` + "\n", "test:2:14: processor 9999"},
		"address":             {head + `{"k":1,"t":5,"s":{"local":"10.0.0.300:1"}}` + "\n", `test:2:28: address "10.0.0.300:1"`},
		"zone":                {head + `{"k":1,"t":5,"s":{"local":"[fe80::1%eth0]:1"}}` + "\n", "without a zone"},
		"role":                {head + `{"k":1,"t":5,"s":{"role":9}}` + "\n", "test:2:19: role 9: unknown"},
		"end":                 {head + `{"k":3,"t":5,"s":{"end":99}}` + "\n", "end 99: unknown"},
		"command":             {head + `{"k":1,"t":5,"s":{"comm":"0123456789abcdef"}}` + "\n", "command name of 16 bytes"},
		"connection":          {head + `{"k":1,"t":5,"s":{"conn":"xyz"}}` + "\n", `connection id "xyz"`},
		"round trip":          {head + `{"k":1,"t":5,"s":{"rtt":-1}}` + "\n", "must not be negative"},
		"nameless workload":   {head + `{"k":8,"t":5,"workload":{"cgroup":3}}` + "\n", "it has no name"},
		"binary text":         {head + `{"k":5,"t":5,"cgroup":{"path":"\u0000%%%"}}` + "\n", "illegal base64"},
		"wrong count":         {head + open + `{"end":{"events":7,"stats":{}}}` + "\n", "test:3:9: 7 events counted, 1 are here"},
		"end with an event":   {head + `{"k":1,"end":{"events":0,"stats":{}}}` + "\n", "an event and the end"},
		"more after the end":  {head + `{"end":{"events":0,"stats":{}}}` + "\n" + open, "test:3:1: more after the last line"},
		"endless line":        {head + strings.Repeat("x", maxLine+1) + "\n", "a line longer than 1048576 bytes"},
		"damaged gzip header": {"\x1f\x8b\x00\x00garbage....", "gzip header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, []byte(tc.recording))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v\nwant %s", err, tc.want)
			}
			if errors.Is(err, ErrTruncated) {
				t.Errorf("called truncated: %v", err)
			}
		})
	}
}

// Damage within compressed data is told, and is no truncation.
func TestDamagedGzip(t *testing.T) {
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	if _, err := gz.Write(written(t, sample())); err != nil {
		t.Fatal(err)
	}
	gz.Close()
	raw := b.Bytes()
	raw[len(raw)-5] ^= 0xff // its checksum
	_, _, err := read(t, raw)
	if err == nil || errors.Is(err, ErrTruncated) {
		t.Errorf("error %v", err)
	}
}

func TestRealTime(t *testing.T) {
	for _, speed := range []float64{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			events := []flow.Event{sample()[1], sample()[1], sample()[1]}
			events[1].Time, events[2].Time = events[0].Time+int64(2*time.Second), events[0].Time+int64(time.Second) // out of order
			s, err := NewSource(bytes.NewReader(written(t, events)), "test", Options{Speed: speed})
			if err != nil {
				t.Fatal(err)
			}
			if s.Now() != 0 {
				t.Errorf("now %d before the start", s.Now())
			}
			var g gather
			begun := time.Now()
			go func() {
				time.Sleep(time.Duration(float64(time.Second) / speed))
				synctest.Wait()
				if now := s.Now(); now != events[0].Time+int64(time.Second) {
					t.Errorf("now is %v after the first event", time.Duration(now-events[0].Time))
				}
				if n := g.sent.Load(); n != 1 {
					t.Errorf("%d events after a second, want 1", n)
				}
			}()
			if err := s.Run(t.Context(), &g); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != time.Duration(2*float64(time.Second)/speed) {
				t.Errorf("at speed %v it took %v", speed, took)
			}
		})
	}
	for _, bad := range []float64{-1, 1e-9, 1e9} {
		if _, err := NewSource(bytes.NewReader(written(t, nil)), "test", Options{Speed: bad}); err == nil {
			t.Errorf("speed %v was taken", bad)
		}
	}
}

// A context that ends stops the reading without an error, also in a wait.
func TestStop(t *testing.T) {
	for name, g := range map[string]*gather{"waiting for room": {full: true}, "waiting for time": {}} {
		synctest.Test(t, func(t *testing.T) {
			late := sample()[1]
			late.Time += int64(time.Hour)
			s, err := NewSource(bytes.NewReader(written(t, []flow.Event{sample()[1], late})), "test", Options{Speed: 1})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begun := time.Now()
			if err := s.Run(ctx, g); err != nil || time.Since(begun) != time.Minute {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
		})
	}
}

func FuzzSource(f *testing.F) {
	f.Add(written(f, sample()))
	f.Add([]byte(`{"weir_recording":1}` + "\n" + `{"k":4,"t":1,"drop":{"src":"[::1]:1"}}` + "\n"))
	f.Add([]byte(`{"weir_recording":1}` + "\n" + `{"k":11,"t":1,"tally":{"l7":1,"role":2,"remote":"::1","op":"ff","n":1}}` + "\n"))
	f.Add([]byte(`{"weir_recording":1}` + "\n" + `{"k":10,"t":1,"exchange":{"l7":3,"role":1,"proto":6,"why":4,"tls":{"alpn":["h2",""]}}}` + "\n"))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, _, err := read(t, raw)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error without a place: %v", err)
		}
		// What was understood must survive being written again.
		again, _, err := read(t, written(t, events))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, events) {
			t.Fatalf("came back as\n%v, was\n%v", again, events)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, name := range []string{"x.jsonl", "x.gz"} {
		b.Run(name, func(b *testing.B) {
			w, err := Create(filepath.Join(b.TempDir(), name), testMeta)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close(flow.SourceStats{})
			batch := make([]flow.Event, 256)
			for i := range batch {
				batch[i] = sample()[1]
				batch[i].Socket.Cookie, batch[i].Socket.Comm = uint64(i), flow.MakeComm("nginx")
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(batch) {
				if err := w.Write(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	batch := make([]flow.Event, 20_000)
	for i := range batch {
		batch[i] = sample()[1]
	}
	raw := written(b, batch)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		events, _, err := read(b, raw)
		if err != nil {
			b.Fatal(err)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

func ExampleError() {
	_, err := NewSource(strings.NewReader("{}\n"), "x.jsonl", Options{})
	fmt.Println(err)
	// Output: recording x.jsonl:1:1: first line without "weir_recording": it is no recording; make one with: weir record -o FILE
}

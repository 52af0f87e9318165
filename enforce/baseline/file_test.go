package baseline

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

func TestDamagedFileIsSetAside(t *testing.T) {
	for name, tc := range map[string]struct{ content, reason string }{
		"cut":           {`{"version":1,"windows":[{"sta`, "unexpected end of JSON input"},
		"another":       {`{"version":2}`, "version 2, this weir reads version 1"},
		"unknown field": {`{"version":1,"windows":null,"profiles":{},"color":1}`, `unknown field "color"`},
		"null":          {`{"version":1,"profiles":{"Unit//a":null}}`, "workload a: null"},
		"nulls within":  {`{"version":1,"profiles":{"Unit//a":{"egress":{"world":{"services":{"6/80":null}}}}}}`, "service tcp/80: null"},
		"no workload":   {`{"version":1,"profiles":{"a":{}}}`, "expected 3 parts"},
		"bad peer":      {`{"version":1,"profiles":{"Unit//a":{"egress":{"address:x":{}}}}}`, "not an address"},
		"bad name":      {`{"version":1,"profiles":{"Unit//a":{"egress":{"name:A b":{}}}}}`, "not a host name"},
		"bad service":   {`{"version":1,"profiles":{"Unit//a":{"egress":{"world":{"services":{"6/x":{}}}}}}}`, "invalid syntax"},
		"times":         {`{"version":1,"windows":[{"start":5,"alive":3}],"profiles":{}}`, "times that cannot be"},
		"two open":      {`{"version":1,"windows":[{"start":5,"alive":5},{"start":6,"alive":6}],"profiles":{}}`, "open, but not the last"},
		"huge label":    {`{"version":1,"profiles":{"Unit//a":{"labels":[{"Source":"x","Key":"` + strings.Repeat("k", 2000) + `","Value":""}]}}}`, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "baseline.json")
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			l := opened(t, path, &clock{time.Unix(1_800_000_000, 0)})
			aside := l.Status().SetAside
			if aside == nil || !strings.Contains(aside.Reason, tc.reason) {
				t.Fatalf("set aside %+v, want the reason %q", aside, tc.reason)
			}
			if kept, err := os.ReadFile(aside.Path); err != nil || string(kept) != tc.content {
				t.Errorf("kept %q (%v), want the file as it was", kept, err)
			}
			if err := l.Start(0); err != nil {
				t.Fatal(err)
			}
			if err := l.Save(); err != nil {
				t.Fatal(err)
			}
			if s := opened(t, path, &clock{time.Unix(1_800_000_001, 0)}).Status(); s.SetAside != nil || !s.Learning {
				t.Errorf("status %+v: what was saved is good", s)
			}
		})
	}
}

func TestSaveThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	l := opened(t, filepath.Join(dir, "baseline.json"), &clock{time.Unix(1_800_000_000, 0)})
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(); err == nil || l.Status().Saved {
		t.Fatalf("saved into a directory that is not there: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(); err != nil || !l.Status().Saved {
		t.Errorf("not saved when it could be: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v (%v): want the file alone", left, err)
	}
}

func TestReadWrite(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := learn(t, flowtest.Any().Draw(rt, "records"))
		var out bytes.Buffer
		if err := b.Write(&out); err != nil {
			rt.Fatal(err)
		}
		want := out.String()
		again, err := Read(&out)
		if err != nil {
			rt.Fatal(err)
		}
		if got := encoded(t, again); string(got) != want {
			rt.Fatalf("read\n%s\nwritten\n%s", got, want)
		}
	})
}

// FuzzRead holds every file to be refused, or to be one that is written as it was
// read and can be learned on.
func FuzzRead(f *testing.F) {
	web, cache := flowtest.Service(11, "shop", "web", 1), flowtest.Container(21, "ca\nche/%")
	tk := newTaker(newBaseline())
	tk.open(Window{Start: 1, Alive: 5, Lost: map[string]uint64{"kernel/ring_full": 3}})
	records := flowtest.Flow(1, flow.TCP, flowtest.Local(web, 40000), flowtest.Local(cache, 6379))
	records = append(records, flowtest.Flow(2, flow.UDP, flowtest.Local(web, 40000), flowtest.Remote("2001:db8::1", 443, "api.example.com"))...)
	records = append(records, flowtest.Tally(flow.HTTP, "GET", "/a/{id}\x1b", 3, flowtest.Local(web, 40000), flowtest.Local(cache, 6379)))
	for i := range records {
		tk.take(&records[i])
	}
	f.Add(encoded(f, tk.Baseline))
	f.Add([]byte(`{"version":1,"windows":[{"start":1,"alive":1}],"profiles":{"Unit//a":{"egress":{"world":{"services":{"6/any":{}}},"unnamed":{}}}}}`))
	f.Add([]byte(fmt.Sprintf(`{"version":1,"profiles":%s}`, strings.Repeat("[", 100))))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		first := encoded(t, b)
		b, err = Read(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, first)
		}
		if again := encoded(t, b); !bytes.Equal(first, again) {
			t.Fatalf("written\n%s\nthen\n%s", first, again)
		}
		b.Completeness().Gaps()
		tk := newTaker(b)
		for i := range records {
			tk.take(&records[i])
		}
		if _, err := Read(bytes.NewReader(encoded(t, tk.Baseline))); err != nil {
			t.Fatalf("what was learned on it is refused: %v", err)
		}
	})
}

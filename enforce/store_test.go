package enforce

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/policy"
)

func TestStoreKeepsStateAndTexts(t *testing.T) {
	dir := t.TempDir()
	s, st, err := openStore(dir, time.Unix(1000, 0))
	if err != nil || len(st.current().Policies) != 0 {
		t.Fatalf("an empty directory: %+v, %v", st, err)
	}
	source, err := s.keep([]byte(webPolicy))
	if err != nil {
		t.Fatal(err)
	}
	unused, err := s.keep([]byte("# nobody's"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0).UTC()
	next := st.next(now, "audit web", []Stored{{Name: "web", Kind: policy.KindCilium, Mode: policy.ModeAudit, Since: now, File: "web.yaml", Source: source}})
	if err := s.save(next); err != nil {
		t.Fatal(err)
	}
	_, again, err := openStore(dir, time.Unix(1000, 0))
	if err != nil || !reflect.DeepEqual(again, next) {
		t.Fatalf("read %+v, %v, want %+v", again, err, next)
	}
	if text, err := s.source(source); err != nil || string(text) != webPolicy {
		t.Errorf("the text is %q, %v", text, err)
	}
	if _, err := os.Stat(s.path(unused)); !os.IsNotExist(err) {
		t.Error("a text that nothing names is kept")
	}
}

// What is enforced must not depend on a file that somebody changed.
func TestStoreRefusesWhatIsNotItsOwn(t *testing.T) {
	s, _, err := openStore(t.TempDir(), time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	source, err := s.keep([]byte(webPolicy))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(source), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.source(source); err == nil || !strings.Contains(err.Error(), "not as it was given") {
		t.Errorf("a changed text is read: %v", err)
	}
	for text, want := range map[string]string{
		`{`:             "state.json",
		`{"version":9}`: "version 9",
		`{"version":1,"history":[{"number":1,"policies":[{"name":"a","mode":"audit","source":"../../etc/passwd"}]}]}`:               "no digest",
		`{"version":1,"history":[{"number":1,"policies":[{"name":"a","mode":"hope","source":"` + strings.Repeat("a", 64) + `"}]}]}`: "unknown mode",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, "state.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, st, err := openStore(s.dir, time.Unix(1000, 0)); err != nil || len(st.History) != 0 {
			t.Errorf("%s: %+v, %v", text, st, err)
		}
		if a := s.aside(); a == nil || !strings.Contains(a.Reason, want) {
			t.Errorf("%s: %v, want %q", text, a, want)
		} else if err := os.Remove(a.Path); err != nil {
			t.Error(err)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	st := &state{Version: stateVersion}
	for range maxHistory + 5 {
		st = st.next(time.Unix(1, 0), "x", nil)
	}
	if len(st.History) != maxHistory || !st.Forgotten || st.current().Number != maxHistory+5 {
		t.Errorf("%d revisions, the last is %d, forgotten %v", len(st.History), st.current().Number, st.Forgotten)
	}
}

func TestTalliesAreBoundedAndOutliveTheProcess(t *testing.T) {
	s, _, err := openStore(t.TempDir(), time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	tl := s.readTallies(log)
	since := time.Unix(50, 0).UTC()
	tl.keep([]Stored{{Name: "web", Since: since}})
	by := []flow.PolicyRef{{Name: "web"}, {Name: "gone"}}
	for port := range maxTallies + 10 {
		tl.add(&flow.Judged{Protocol: flow.TCP, Port: uint16(port), Denied: port%2 == 0, Count: 2, By: by}, "w", "p", time.Unix(60, 0))
	}
	tl.add(&flow.Judged{Protocol: flow.TCP, Port: 1, Count: 5, By: by}, "w", "p", time.Unix(70, 0))
	all, audited, denied := tl.of("web")
	if len(all) != maxTallies || audited != maxTallies+10+5 || denied != maxTallies+10 {
		t.Errorf("%d tallies, %d audited, %d denied", len(all), audited, denied)
	}
	if all[0].Count != 7 || all[0].Port != 1 || !strings.Contains(all[0].String(), "w → p port 1/") {
		t.Errorf("the most frequent is %+v", all[0])
	}
	data, changed := tl.encode()
	if _, again := tl.encode(); !changed || again {
		t.Errorf("changed %v, and again %v", changed, again)
	}
	if err := s.writeTallies(data); err != nil {
		t.Fatal(err)
	}
	read := s.readTallies(log)
	if got, a, d := read.of("web"); !reflect.DeepEqual(got, all) || a != audited || d != denied {
		t.Errorf("read %d tallies, %d audited, %d denied", len(got), a, d)
	}
	read.keep([]Stored{{Name: "web", Since: since.Add(1)}})
	if got, _, _ := read.of("web"); got != nil {
		t.Error("a policy that changed keeps its tallies")
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"history":[{"number":1,"time":"2026-01-01T00:00:00Z","change":"x","policies":[]}]}`))
	f.Add([]byte(`{"version":1,"history":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := parseState(data)
		if err != nil {
			return
		}
		// Whatever is read can be gone on with.
		next := st.next(time.Unix(1, 0), "more", st.current().Policies)
		if len(next.History) > maxHistory && len(st.History) <= maxHistory {
			t.Error("the history grows beyond its bound")
		}
		st.current().expired(time.Unix(1, 0))
		_, _ = find(st.current().Policies, "x")
	})
}

package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func stream(t *testing.T, events ...event) io.Reader {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return strings.NewReader(b.String())
}

func TestSummarize(t *testing.T) {
	in := stream(t,
		event{"run", "p", "TestGood", ""},
		event{"output", "p", "TestGood", "    a_test.go:3: quiet please\n"},
		event{"pass", "p", "TestGood", ""},
		event{"output", "p", "TestBad", "    a_test.go:9: got 1, want 2\n"},
		event{"output", "p", "TestBad", "--- FAIL: TestBad (0.00s)\n"},
		event{"fail", "p", "TestBad", ""},
		event{"output", "p", "TestRoot", "    a_test.go:12: needs root\n"},
		event{"output", "p", "TestRoot", "--- SKIP: TestRoot (0.00s)\n"},
		event{"skip", "p", "TestRoot", ""},
		event{"skip", "p", "TestMute", ""},
		event{"output", "p", "", "PASS\n"},
		event{"output", "p", "", "FAIL\tp\t0.1s\n"},
		event{"fail", "p", "", ""},
		event{"output", "q", "", "?   \tq\t[no test files]\n"},
		event{"skip", "q", "", ""},
		event{"output", "r", "TestStuck", "    a_test.go:20: last words\n"},
		event{"fail", "r", "", ""},
	)
	var out strings.Builder
	s, err := summarize(in, &out)
	if err != nil {
		t.Fatal(err)
	}
	s.print(&out)
	for _, want := range []string{
		"got 1, want 2", "FAIL\tp\t0.1s", "1  needs root: TestRoot\n", "no reason given: TestMute",
		"unfinished: r TestStuck", "last words", "\n1 passed, 2 failed, 2 skipped\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for _, unwanted := range []string{"quiet please", "PASS\n", "no test files"} {
		if strings.Contains(out.String(), unwanted) {
			t.Errorf("%q in:\n%s", unwanted, out.String())
		}
	}
}

func TestSummarizePassesOnWhatIsNotAnEvent(t *testing.T) {
	var out strings.Builder
	s, err := summarize(strings.NewReader("go: cannot find main module\n"), &out)
	if err != nil || s.passed+s.failed != 0 || out.String() != "go: cannot find main module\n" {
		t.Errorf("%+v, %v, %q", s, err, out.String())
	}
	broken := errors.New("broken pipe")
	if _, err := summarize(iotest.ErrReader(broken), &out); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestManySkipsAreShortened(t *testing.T) {
	s := summary{passed: 1, skipped: map[string][]string{"needs root": {"A", "B", "C", "D", "E", "F", "G"}}}
	var out strings.Builder
	s.print(&out)
	if !strings.Contains(out.String(), "7  needs root: A, B, C, D, E and 2 more\n") {
		t.Errorf("got:\n%s", out.String())
	}
}

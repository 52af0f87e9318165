package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json`, as cmd/test2json documents it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// summary counts tests, subtests among them.
type summary struct {
	passed, failed int
	skipped        map[string][]string // reason → tests
}

// summarize reads events to their end. It writes a line for every package and
// all that failing tests printed; passing ones are silent.
func summarize(r io.Reader, w io.Writer) (summary, error) {
	s := summary{skipped: make(map[string][]string)}
	type key struct{ pkg, test string }
	output := make(map[key][]string)
	failing := make(map[string]bool) // packages with a failed test

	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if jsonErr := json.Unmarshal(line, &e); jsonErr != nil {
				// The go command's own words, before any test ran.
				fmt.Fprint(w, string(line))
			}
			k := key{e.Package, e.Test}
			switch {
			case e.Action == "output" || e.Action == "build-output":
				if e.Test != "" {
					output[k] = append(output[k], e.Output)
				} else if worthALine(e.Output) {
					fmt.Fprint(w, e.Output)
				}
			case e.Test == "" && e.Action == "fail" && !failing[e.Package]:
				s.failed++ // not built, or ended by itself
			case e.Test == "":
			case e.Action == "pass":
				s.passed++
				delete(output, k)
			case e.Action == "fail":
				s.failed++
				failing[e.Package] = true
				fmt.Fprint(w, strings.Join(output[k], ""))
				delete(output, k)
			case e.Action == "skip":
				why := reason(output[k])
				s.skipped[why] = append(s.skipped[why], e.Test)
				delete(output, k)
			}
		}
		if err == io.EOF {
			// What is left belongs to tests that never ended: a panic, a
			// timeout, os.Exit.
			for k, lines := range output {
				fmt.Fprintf(w, "--- unfinished: %s %s\n%s", k.pkg, k.test, strings.Join(lines, ""))
			}
			return s, nil
		}
		if err != nil {
			return s, fmt.Errorf("read test events: %w", err)
		}
	}
}

// worthALine: of what a package says, not its plain PASS nor that it has no
// tests.
func worthALine(out string) bool {
	return out != "PASS\n" && !strings.HasPrefix(out, "?") && !strings.Contains(out, "[no test files]")
}

var place = regexp.MustCompile(`^\S+\.go:\d+: `)

// reason is what a test said last before it was skipped.
func reason(lines []string) string {
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		if place.MatchString(line) {
			return place.ReplaceAllString(line, "")
		}
	}
	return "no reason given"
}

// print ends with a line of counts alone, which is what tools look for.
func (s summary) print(w io.Writer) {
	total := 0
	reasons := make([]string, 0, len(s.skipped))
	for why, tests := range s.skipped {
		total += len(tests)
		reasons = append(reasons, why)
	}
	slices.Sort(reasons)
	if total > 0 {
		fmt.Fprintln(w, "\nskipped:")
	}
	for _, why := range reasons {
		tests := s.skipped[why]
		const shown = 5
		names := strings.Join(tests[:min(len(tests), shown)], ", ")
		if more := len(tests) - shown; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(w, "  %4d  %s: %s\n", len(tests), why, names)
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, total)
}

//go:build cgo && linux

package native

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is told of the captured streams")

func samples(t testing.TB) []Stream {
	t.Helper()
	read, err := HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	var streams []Stream
	for _, s := range read {
		streams = append(streams, s.Stream)
	}
	return streams
}

// Every captured stream is read to its end, as net/http reads it, however it is cut.
func TestHTTP1Samples(t *testing.T) {
	h := new(HTTP1Run)
	if *update {
		writeTold(t, h)
	}
	read, err := HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("testdata/http1/*.re*")
	if len(read) != len(files) || len(read) == 0 {
		t.Errorf("%d streams, told of %d", len(files), len(read))
	}
	for _, s := range read {
		t.Run(s.Name, func(t *testing.T) {
			if got := tell(h, s.Stream, Cut{}); !slices.Equal(got, s.Told) {
				t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(s.Told, "\n"))
			}
			if last := s.Told[len(s.Told)-1]; strings.Contains(last, "error") {
				t.Errorf("not accepted: %s", last)
			}
			if err := differ(h, s.Stream); err != nil {
				t.Error(err)
			}
			everyCut(t, h, s.Stream)
		})
	}
	// The oracle reads as many messages: where it gave up, nothing was compared.
	for _, s := range read {
		n, o := 0, newOracle(s.Stream)
		for m := o.next(); m.err == nil; m = o.next() {
			if n++; m.response != nil && (m.response.StatusCode == http.StatusSwitchingProtocols || slices.Equal(s.Asked, []uint8{AskedConnect})) {
				break
			}
		}
		ends := 0
		for _, line := range s.Told {
			ends += strings.Count(line, " end ")
		}
		if n != ends {
			t.Errorf("%s: %d messages, net/http read %d", s.Name, ends, n)
		}
	}
}

func writeTold(t *testing.T, h *HTTP1Run) {
	t.Helper()
	var b strings.Builder
	names, _ := filepath.Glob("testdata/http1/*.requests")
	for _, name := range names {
		var asked []uint8
		for _, suffix := range []string{".requests", ".responses"} {
			name := strings.TrimSuffix(name, ".requests") + suffix
			bytes, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s := Stream{Name: filepath.Base(name), Bytes: bytes, Responses: suffix == ".responses", Asked: asked, EOF: true}
			b.WriteString(s.Name)
			for _, kind := range asked {
				fmt.Fprintf(&b, " %d", kind)
			}
			b.WriteString("\n")
			for _, told := range run(h, s, Cut{}) {
				fmt.Fprintln(&b, &told)
				if told.Flags&FlagHead != 0 && told.Kind == KindRequest {
					asked = append(asked, told.Request)
				}
			}
			b.WriteString("\n")
		}
	}
	if err := os.WriteFile("testdata/http1/told.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

package spelling_test

import (
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/spelling"
)

func TestNearest(t *testing.T) {
	names := []string{"follow", "first", "file", "last", "tcp", "In", "method", "top"}
	for got, want := range map[string]string{
		"folow": "follow", "frist": "first", "fil": "file", "tpc": "tcp", "TCPP": "tcp", "in": "In", "metod": "method",
		"foo": "", "xyz": "", "": "", "tpx": "", strings.Repeat("a", 1000): "",
	} {
		if s := spelling.Nearest(got, names); s != want {
			t.Errorf("%.20s: got %q, want %q", got, s, want)
		}
	}
	if s := spelling.Nearest("prot", []string{"port", "proto"}); s != "proto" {
		t.Errorf("prot: got %q, want what it is the beginning of", s)
	}
	if s := spelling.Nearest("x", nil); s != "" {
		t.Errorf("of no names: %q", s)
	}
}

func TestDidYouMean(t *testing.T) {
	if s, want := spelling.DidYouMean("folow", []string{"follow"}, "--"), `; did you mean "--follow"?`; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
	if s := spelling.DidYouMean("xyz", []string{"follow"}, "--"); s != "" {
		t.Errorf("got %q, want nothing", s)
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("folow", "follow")
	f.Fuzz(func(t *testing.T, got, name string) {
		if s := spelling.Nearest(got, []string{name}); s != "" && s != name {
			t.Errorf("%q is none of the names", s)
		}
	})
}

package printable_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed79351815/weir/exporters/internal/printable"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "é": "é", "a\x1b[2Jb": "a?[2Jb", "\xff": "?", "a\u202eb": "a?b", "\n": "?", "": "",
		strings.Repeat("x", 25): strings.Repeat("x", 20), strings.Repeat("x", 19) + "é": strings.Repeat("x", 19),
	} {
		if got := printable.Text(in, 20); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { printable.Text(strings.Repeat("x", 1), 20) }); n != 0 {
		t.Errorf("%v allocations for what is clean", n)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J", 3)
	f.Add("\xe2\x82\xac\xe2\x82", 4)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = limit & 1023
		got := printable.Text(s, limit)
		if !utf8.ValidString(got) || len(got) > limit || strings.ContainsAny(got, "\x1b\n\x00\u202e") {
			t.Errorf("Text(%q, %d) = %q", s, limit, got)
		}
		if again := printable.Text(got, limit); again != got {
			t.Errorf("clean is not stable: %q, %q", got, again)
		}
	})
}

package l7

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTraceID(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for value, want := range map[string]string{
		"00-" + id + "-" + parent + "-01":                      id,
		"00-" + id + "-" + parent + "-ff":                      id,
		"01-" + id + "-" + parent + "-01":                      id,
		"cc-" + id + "-" + parent + "-01-what-comes":           id,
		"00-" + id + "-" + parent + "-01-more":                 "", // version 00 ends there
		"cc-" + id + "-" + parent + "-01.more":                 "",
		"ff-" + id + "-" + parent + "-01":                      "",
		"00-" + strings.ToUpper(id) + "-" + parent + "-01":     "",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01": "",
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":     "",
		"00-" + id + "-" + parent + "-0x":                      "",
		"0x-" + id + "-" + parent + "-01":                      "",
		"00-" + id + "-" + parent:                              "",
		"00_" + id + "-" + parent + "-01":                      "",
		"00-" + id[1:] + "g-" + parent + "-01":                 "",
		" 00-" + id + "-" + parent + "-01":                     "",
		"":                                                     "",
	} {
		if got := TraceID(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
		_, gotParent, flags := Traceparent(value)
		if want != "" && (gotParent != parent || flags != value[53:55]) || want == "" && gotParent+flags != "" {
			t.Errorf("%q: parent %q, flags %q", value, gotParent, flags)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")
	f.Fuzz(func(t *testing.T, value string) {
		id := TraceID(value)
		if id == "" {
			return
		}
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" || value[3:35] != id {
			t.Errorf("%q: %q", value, id)
		}
	})
}

// FuzzPath holds templates and redaction to what must be true of any path.
func FuzzPath(f *testing.F) {
	f.Add("/users/42", "/users/43", true)
	f.Add("/reset/eyJhbGciOiJIUzI1NiJ9.x;a=b//", "/%40", false)
	f.Fuzz(func(t *testing.T, p, q string, exists bool) {
		s := newSite()
		for _, path := range []string{p, q, p} {
			routed(s, "/"+path, exists)
			s.check(t)
		}
		route, _ := routed(s, "/"+p, exists)
		if again, _ := routed(s, "/"+p, !exists); again != route {
			t.Errorf("%q: %q, then %q", p, route, again)
		}
		r := Redact(p)
		if twice := Redact(r); twice != r {
			t.Errorf("%q: redacted %q, again %q", p, r, twice)
		}
		if utf8.ValidString(p) && !utf8.ValidString(r) {
			t.Errorf("%q: redacted %q", p, r)
		}
		if strings.Count(p, "/") != strings.Count(r, "/") {
			t.Errorf("%q: redacted %q", p, r)
		}
		w := words{path: p}
		if !w.like(w.kept()) {
			t.Errorf("%q is unlike itself", p)
		}
	})
}

package words

import (
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "a\nb": "a?b", "\x1b[2J": "?[2J", "\u202eevil": "?evil", "\xff": "?", strings.Repeat("x", 200): strings.Repeat("x", 160) + "…",
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_999: "1.0 MB", 1 << 63: "9.2 EB"} {
		if got := Size(in); got != want {
			t.Errorf("Size(%d) = %q, want %q", in, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	for last, want := range map[int64]string{
		at + int64(time.Second): "2026-06-01 12:00 UTC", at + int64(time.Hour): "2026-06-01 12:00 to 2026-06-01 13:00 UTC",
	} {
		if got := Span(at, last); got != want {
			t.Errorf("Span to %d = %q, want %q", last, got, want)
		}
	}
}

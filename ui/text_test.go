package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     text
	}{
		{"plain", "shop-web-1", "shop-web-1"},
		{"escape sequence", "a\x1b[31mb", "a[31mb"},
		{"title and bell", "\x1b]0;x\a", "]0;x"},
		{"C1 introducer", "a\u009b31mb", "a31mb"},
		{"tab and newline", "a\tb\nc\rd", "abcd"},
		{"bidi override", "txt\u202egnp.exe\u202c", "txtgnp.exe"},
		{"bidi isolates", "\u2066a\u2069\u200f", "a"},
		{"zero width", "a\u200b\u200db\ufeff", "ab"},
		{"line separator", "a\u2028b", "a b"},
		{"invalid UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"wide", "日本", "日本"},
		{"accent", "e\u0301", "e\u0301"},
		{"stacked marks", "e\u0301\u0301\u0301\u0301", "e\u0301\u0301"},
		{"leading mark", "\u0301e", "e"},
		{"private use", "\ue000x", "x"},
		{"tview tag stays as it is", "[red]x[-]", "[red]x[-]"},
	} {
		if got := clean(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if n := len(clean(strings.Repeat("x", 10_000))); n != maxText {
		t.Errorf("a long name keeps %d bytes", n)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in     text
		w      int
		middle bool
		want   text
	}{
		{"short", 10, false, "short"},
		{"short", 5, true, "short"},
		{"too-long-name", 8, false, "too-lon…"},
		{"too-long-name:6379", 11, true, "too-l…:6379"},
		{"日本語", 5, false, "日本…"},
		{"日本語", 4, false, "日…"},
		{"日本語x", 6, true, "日本…x"},
		{"abc", 1, false, "…"},
		{"abc", 0, false, ""},
	} {
		got := c.in.fit(c.w, c.middle)
		if got != c.want || got.width() > c.w {
			t.Errorf("%q in %d: %q (%d wide), want %q", c.in, c.w, got, got.width(), c.want)
		}
	}
	if got := text("日本").pad(3, true); got != "日…" {
		t.Errorf("pad cut to %q", got)
	}
	if got := text("ab").pad(4, true) + "|" + text("ab").pad(4, false); got != "  ab|ab  " {
		t.Errorf("pad gives %q", got)
	}
}

// hostile are names that have broken other screens.
var hostile = []string{
	"[red]", "[:::http://evil]link", `x["r"]y`, "GET /a?x[0]=1&y[id]=2", "[-:-:-]", "[[red]]", "[red[]", "]",
	"\x1b[2J\x1b[H", "\x1b]52;c;AAAA\a", "\u009b2J", "\x90q\x9c", "\x7f\b\b\b", "a\u202eb\u2066c",
	"\xff\xfe\xc0\x80", "日本語\u0301\u0301\u0301\u0301", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "\u1160\u11a8", "ﷺ", "\U000e0041",
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, in string, w int) {
		got := clean(in)
		if !utf8.ValidString(string(got)) {
			t.Fatalf("%q: not UTF-8", got)
		}
		for _, r := range string(got) {
			if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q: %U is left", got, r)
			}
		}
		if again := clean(string(got)); again != got {
			t.Fatalf("%q becomes %q when cleaned again", got, again)
		}
		if ours, theirs := got.width(), tview.TaggedStringWidth(forTview(got)); ours != theirs {
			t.Fatalf("%q: %d wide, tview says %d", got, ours, theirs)
		}
		s := simulated(t, 300, 1)
		style := tcell.StyleDefault.Foreground(tcell.ColorGreen)
		cells := tview.NewTable().SetCell(0, 0, &tview.TableCell{Text: forTview(got), Style: style})
		cells.SetBackgroundColor(tcell.ColorDefault).SetRect(0, 0, 300, 1)
		cells.Draw(s)
		s.Show()
		if shown := strings.TrimRight(contents(s), " \n"); got.width() < 290 && shown != strings.TrimRight(string(got), " ") {
			t.Fatalf("%q is drawn as %q", got, shown)
		}
		w %= 300
		for _, middle := range []bool{false, true} {
			if cut := got.fit(w, middle); cut.width() > max(w, 0) {
				t.Fatalf("%q in %d columns: %q", got, w, cut)
			}
		}
		if w > 0 && got.pad(w, true).width() != w {
			t.Fatalf("%q padded to %d: %d", got, w, got.pad(w, true).width())
		}
	})
}

package ui

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
)

func TestKeyTable(t *testing.T) {
	type place struct {
		key string
		on  scope
	}
	seen := make(map[place]action)
	does := make(map[action]bool)
	for _, b := range bindings {
		if b.help == "" || b.group == "" || len(b.keys) == 0 {
			t.Errorf("%v: no help, group or key", b.keys)
		}
		does[b.action] = true
		for _, on := range []scope{onTable, onText} {
			if b.scope&on == 0 {
				continue
			}
			for _, k := range b.keys {
				if was, twice := seen[place{k, on}]; twice {
					t.Errorf("%s means %d and %d", k, was, b.action)
				}
				seen[place{k, on}] = b.action
			}
		}
	}
	for a := actNone + 1; a <= actHelp; a++ {
		if !does[a] {
			t.Errorf("action %d has no key", a)
		}
	}
}

// Every key of the table can be typed, and works on every page that it is said
// to work on.
func TestEveryKeyOnEveryPage(t *testing.T) {
	pages := [][]string{{"1"}, {"2"}, {"3"}, {"4"}, {"1", "enter"}, {"1", "enter", "tab"}, {"1", "enter", "tab", "tab"},
		{"1", "enter", "shift-tab"}, {"1", "enter", "shift-tab", "enter"}, {"2", "enter"}, {"3", "enter"}, {"5"}, {"5", "tab"}, {"5", "enter"}, {"5", "enter", "tab"}, {"5", "tab", "enter"}, {"?"}}
	for _, page := range pages {
		for _, b := range bindings {
			for _, k := range b.keys {
				m := started(t)
				press(m, page...)
				press(m, k)
				newPainter(m, simulated(t, 80, 24), monoTheme()).paint()
			}
		}
	}
}

func TestKeyNames(t *testing.T) {
	for want, ev := range map[string]*tcell.EventKey{
		"j":         tcell.NewEventKey(tcell.KeyRune, 'j', 0),
		"S":         tcell.NewEventKey(tcell.KeyRune, 'S', tcell.ModShift),
		"space":     tcell.NewEventKey(tcell.KeyRune, ' ', 0),
		"alt-j":     tcell.NewEventKey(tcell.KeyRune, 'j', tcell.ModAlt),
		"enter":     tcell.NewEventKey(tcell.KeyEnter, 0, 0),
		"tab":       tcell.NewEventKey(tcell.KeyTab, 0, 0),
		"shift-tab": tcell.NewEventKey(tcell.KeyBacktab, 0, 0),
		"esc":       tcell.NewEventKey(tcell.KeyEscape, 0, 0),
		"ctrl-c":    tcell.NewEventKey(tcell.KeyCtrlC, 0, tcell.ModCtrl),
		"ctrl-l":    tcell.NewEventKey(tcell.KeyCtrlL, 0, tcell.ModCtrl),
		"backspace": tcell.NewEventKey(tcell.KeyBackspace2, 0, 0),
		"pgdn":      tcell.NewEventKey(tcell.KeyPgDn, 0, 0),
		"f1":        tcell.NewEventKey(tcell.KeyF1, 0, 0),
		"":          tcell.NewEventKey(tcell.KeyF64, 0, 0),
	} {
		if got, _ := keyName(ev); got != want {
			t.Errorf("%v is called %q, want %q", ev.Name(), got, want)
		}
	}
}

func TestKeysDocument(t *testing.T) {
	golden(t, filepath.Join("..", "docs", "keys.md"), keysMarkdown())
}

func TestHintsFit(t *testing.T) {
	m := started(t)
	for w := minWidth - 2; w < 200; w++ {
		l := m.hints(w)
		if l.width() > w || !strings.Contains(l.String(), "? help") || !strings.Contains(l.String(), "q quit") {
			t.Fatalf("%d: %q", w, l.String())
		}
	}
}

func TestPrompt(t *testing.T) {
	p := newPrompt('/', "", []string{"one", "two"})
	typed := func(keys ...string) string {
		for _, k := range keys {
			r := rune(0)
			if len([]rune(k)) == 1 {
				r = []rune(k)[0]
			}
			p.key(k, r)
		}
		return p.value()
	}
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"a", "b", "c"}, "abc"},
		{[]string{"left", "left", "x"}, "axbc"},
		{[]string{"backspace"}, "abc"},
		{[]string{"delete"}, "ac"},
		{[]string{"home", "日", "end", "é"}, "日acé"},
		{[]string{"up"}, "two"},
		{[]string{"up", "up"}, "one"},
		{[]string{"down", "down", "down"}, "日acé"},
		{[]string{" ", "d", "d", "ctrl-w"}, "日acé "},
		{[]string{"ctrl-u"}, ""},
	} {
		if got := typed(c.keys...); got != c.want {
			t.Fatalf("%v: %q, want %q", c.keys, got, c.want)
		}
	}
	if p.key("\x1b", '\x1b'); p.value() != "" {
		t.Error("a control character was typed")
	}
	for range 2 * maxFilter {
		p.key("x", 'x')
	}
	if len(p.input) != maxFilter {
		t.Errorf("%d characters were taken", len(p.input))
	}
	p.key("ctrl-u", 0)
	if p.key("backspace", 0) != promptLeft || p.key("esc", 0) != promptLeft || p.key("enter", 0) != promptTaken {
		t.Error("the prompt does not end")
	}
}

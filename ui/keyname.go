package ui

import "github.com/gdamore/tcell/v2"

// keyName gives a key event the name that the key table uses, and the rune that
// it types, 0 when it types none.
func keyName(ev *tcell.EventKey) (string, rune) {
	switch ev.Key() {
	case tcell.KeyRune:
		r := ev.Rune()
		if ev.Modifiers()&tcell.ModAlt != 0 {
			return "alt-" + string(r), 0
		}
		if r == ' ' {
			return "space", r
		}
		return string(r), r
	case tcell.KeyEnter:
		return "enter", 0
	case tcell.KeyEscape:
		return "esc", 0
	case tcell.KeyTab:
		return "tab", 0
	case tcell.KeyBacktab:
		return "shift-tab", 0
	case tcell.KeyUp:
		return "up", 0
	case tcell.KeyDown:
		return "down", 0
	case tcell.KeyLeft:
		return "left", 0
	case tcell.KeyRight:
		return "right", 0
	case tcell.KeyPgUp:
		return "pgup", 0
	case tcell.KeyPgDn:
		return "pgdn", 0
	case tcell.KeyHome:
		return "home", 0
	case tcell.KeyEnd:
		return "end", 0
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		return "backspace", 0
	case tcell.KeyDelete:
		return "delete", 0
	case tcell.KeyF1:
		return "f1", 0
	}
	if k := ev.Key(); k >= tcell.KeyCtrlA && k <= tcell.KeyCtrlZ {
		return "ctrl-" + string(rune('a'+k-tcell.KeyCtrlA)), 0
	}
	return "", 0
}

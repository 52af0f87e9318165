package ui

import "slices"

// effect is what a key asks of the terminal, beyond the picture.
type effect struct {
	quit   bool
	redraw bool
	copy   text
}

// key takes one key: its name, and the rune that it types or 0.
func (m *model) key(name string, r rune) effect {
	m.say(plain, "")
	if name == "ctrl-c" {
		return effect{quit: true}
	}
	if m.prompt != nil {
		return m.promptKey(name, r)
	}
	return m.do(lookup(name, m.scope()))
}

// do carries an action out.
func (m *model) do(a action) effect {
	t := m.tab()
	switch a {
	case actView1, actView2, actView3, actView4, actView5:
		m.goTo(int(a - actView1))
	case actNextTab:
		m.turn(1)
	case actPrevTab:
		m.turn(-1)
	case actLonger:
		m.turnWindow(1)
	case actShorter:
		m.turnWindow(-1)
	case actOpen:
		if t.open != nil && t.grid.Len() > 0 {
			t.open()
		}
	case actEscape:
		if !t.filter.empty() {
			t.filter = nil
			m.refill()
		} else {
			m.back()
		}
	case actBack:
		return effect{quit: !m.back()}
	case actQuit:
		return effect{quit: true}
	case actDown:
		t.move(1)
	case actUp:
		t.move(-1)
	case actPageDown:
		t.move(max(1, m.pageSize-1))
	case actPageUp:
		t.move(-max(1, m.pageSize-1))
	case actTop:
		t.moveTo(0)
	case actBottom:
		t.moveTo(1 << 30)
	case actLeft:
		t.grid.Scroll(-1)
	case actRight:
		t.grid.Scroll(1)
	case actWide:
		t.grid.ToggleWide()
	case actFilter:
		m.before = t.filter
		m.prompt = newPrompt('/', t.filter.String(), m.filters)
	case actCommand:
		m.prompt = newPrompt(':', "", m.commands)
	case actSortNext:
		t.grid.SortNext()
	case actSortReverse:
		t.grid.SortReverse()
	case actPause:
		m.pause()
	case actCopy:
		if row := t.grid.Whole(t.grid.Selected()); row != "" {
			m.say(good, "row copied")
			return effect{copy: row}
		}
	case actRedraw:
		return effect{redraw: true}
	case actHelp:
		m.push(newHelpPage())
	}
	return effect{}
}

// goTo shows a view of the first level.
func (m *model) goTo(root int) {
	m.stack, m.root = nil, root
	m.refill()
}

// turn goes to the next or the previous tab of the page. On the first level the
// next view follows the last tab.
func (m *model) turn(by int) {
	p := m.page()
	at := p.at + by
	if len(m.stack) == 0 && (at < 0 || at >= len(p.tabs)) {
		m.root = (m.root + by + len(m.roots)) % len(m.roots)
		if p = m.roots[m.root]; by > 0 {
			at = 0
		} else {
			at = len(p.tabs) - 1
		}
	}
	p.at = (at + len(p.tabs)) % len(p.tabs)
	m.refill()
}

// push opens a page above the present one.
func (m *model) push(p *page) {
	m.stack = append(m.stack, p)
	m.refill()
}

// back leaves the page; it tells whether there was one to go back to.
func (m *model) back() bool {
	if len(m.stack) == 0 {
		return false
	}
	m.stack = m.stack[:len(m.stack)-1]
	m.refill()
	return true
}

func (m *model) pause() {
	m.paused = !m.paused
	m.pausedAt = m.health.Events
	if !m.paused && m.newest != nil {
		m.show(m.newest)
	}
}

// newer is how many events came since the user paused.
func (m *model) newer() uint64 {
	if m.health.Events < m.pausedAt {
		return 0
	}
	return m.health.Events - m.pausedAt
}

// promptKey gives a key to the prompt. A filter works while it is typed: one
// that cannot be read says why, and the last good one stays in force.
func (m *model) promptKey(name string, r rune) effect {
	p := m.prompt
	switch p.key(name, r) {
	case promptLeft:
		m.prompt = nil
		if p.mark == '/' {
			m.setFilter(m.before)
		}
	case promptTaken:
		if p.mark == ':' {
			return m.takeCommand(p)
		}
		if p.err == nil {
			m.prompt = nil
			m.filters = remember(m.filters, p.value())
		}
	case promptEdited:
		if p.mark == ':' {
			p.err = nil
			break
		}
		f, err := parseFilter(p.value())
		if p.err = err; err == nil {
			m.setFilter(f)
		}
	}
	return effect{}
}

func (m *model) takeCommand(p *prompt) effect {
	if isQuit(p.value()) {
		return effect{quit: true}
	}
	if p.err = m.command(p.value()); p.err != nil {
		return effect{}
	}
	m.prompt = nil
	m.commands = remember(m.commands, p.value())
	return effect{}
}

func (m *model) setFilter(f *filter) {
	m.tab().filter = f
	m.refill()
}

// remember appends to a history, which holds nothing twice and not everything.
func remember(history []string, s string) []string {
	const most = 50
	if s == "" {
		return history
	}
	history = slices.DeleteFunc(slices.Clone(history), func(h string) bool { return h == s })
	history = append(history, s)
	return history[max(0, len(history)-most):]
}

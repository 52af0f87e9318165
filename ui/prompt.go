package ui

import "slices"

// prompt is a line that the user types: a filter after "/", a command after ":".
type prompt struct {
	mark    rune // '/' or ':'
	input   []rune
	at      int // the cursor
	history []string
	back    int    // how many entries back; 0: what is being typed
	typed   []rune // what was being typed when the user went back
	err     error
}

// promptResult says what a key did to the prompt.
type promptResult uint8

const (
	promptEdited promptResult = iota
	promptTaken
	promptLeft
)

func newPrompt(mark rune, input string, history []string) *prompt {
	in := []rune(input)
	return &prompt{mark: mark, input: in, at: len(in), history: history}
}

func (p *prompt) value() string { return string(p.input) }

// key applies one key.
func (p *prompt) key(name string, r rune) promptResult {
	switch name {
	case "enter":
		return promptTaken
	case "esc":
		return promptLeft
	case "backspace":
		if len(p.input) == 0 {
			return promptLeft
		}
		p.erase(p.at - 1)
	case "ctrl-u":
		p.erase(0)
	case "ctrl-w":
		p.erase(p.wordStart())
	case "delete":
		if p.at < len(p.input) {
			p.at++
			p.erase(p.at - 1)
		}
	case "left", "ctrl-b":
		p.at = max(0, p.at-1)
	case "right", "ctrl-f":
		p.at = min(len(p.input), p.at+1)
	case "home", "ctrl-a":
		p.at = 0
	case "end", "ctrl-e":
		p.at = len(p.input)
	case "up":
		p.recall(p.back + 1)
	case "down":
		p.recall(p.back - 1)
	default:
		if r != 0 && shown(r) && len(p.input) < maxFilter {
			p.input = slices.Insert(p.input, p.at, r)
			p.at++
		}
	}
	return promptEdited
}

// erase removes what is between from and the cursor.
func (p *prompt) erase(from int) {
	from = max(0, from)
	if from < p.at {
		p.input = slices.Delete(p.input, from, p.at)
		p.at = from
	}
}

func (p *prompt) wordStart() int {
	i := p.at
	for i > 0 && p.input[i-1] == ' ' {
		i--
	}
	for i > 0 && p.input[i-1] != ' ' {
		i--
	}
	return i
}

func (p *prompt) recall(back int) {
	if back < 0 || back > len(p.history) {
		return
	}
	if p.back == 0 {
		p.typed = p.input
	}
	p.back = back
	p.input = slices.Clone(p.typed)
	if back > 0 {
		p.input = []rune(p.history[len(p.history)-back])
	}
	p.at = len(p.input)
}

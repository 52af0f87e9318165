package ui

import "github.com/gdamore/tcell/v2"

// theme says how roles look.
type theme [chosen + 1]tcell.Style

// colourTheme uses the terminal's own background and the darker half of its 16
// colours, which stay legible on light and on dark ones.
func colourTheme() theme {
	base := tcell.StyleDefault
	return theme{
		plain:  base,
		dim:    base.Dim(true),
		strong: base.Bold(true),
		good:   base.Foreground(tcell.ColorGreen),
		warn:   base.Foreground(tcell.ColorOlive),
		bad:    base.Foreground(tcell.ColorMaroon).Bold(true),
		accent: base.Foreground(tcell.ColorTeal).Bold(true),
		chosen: base.Reverse(true),
	}
}

// monoTheme has attributes alone. tcell renders a dark colour as reverse video
// where there are no colours, so a mono theme must not name any.
func monoTheme() theme {
	base := tcell.StyleDefault
	return theme{
		plain:  base,
		dim:    base,
		strong: base.Bold(true),
		good:   base,
		warn:   base.Bold(true),
		bad:    base.Bold(true),
		accent: base.Bold(true).Underline(true),
		chosen: base.Reverse(true),
	}
}

// fallbacks are what a terminal without Unicode shows; each is as wide as what
// it stands for.
func fallbacks() map[rune]string {
	return map[rune]string{
		'…': "~", 'µ': "u", '→': ">", '←': "<", '▲': "^", '▼': "v", '›': ">", '·': "-",
		'▁': "_", '▂': ".", '▃': "-", '▄': "=", '▅': "+", '▆': "*", '▇': "#", '█': "#",
	}
}

package ui

// seg is a part of a bar that is shown whole or not at all.
type seg struct {
	priority int // the lowest leaves first
	line     line
}

const segGap text = "  "

// fitSegs puts segments beside one another, without those for which the width
// does not suffice. Empty ones are left out.
func fitSegs(width int, segs []seg) line {
	kept := make([]seg, 0, len(segs))
	for _, s := range segs {
		if s.line.width() > 0 {
			kept = append(kept, s)
		}
	}
	for len(kept) > 1 && segsWidth(kept) > width {
		drop := 0
		for i, s := range kept {
			if s.priority <= kept[drop].priority { // of equals the last
				drop = i
			}
		}
		kept = append(kept[:drop], kept[drop+1:]...)
	}
	var out line
	for i, s := range kept {
		if i > 0 {
			out = append(out, span{segGap, plain})
		}
		out = append(out, s.line...)
	}
	return out.fit(width)
}

func segsWidth(segs []seg) int {
	w := 0
	for _, s := range segs {
		w += s.line.width() + len(segGap)
	}
	return w - len(segGap)
}

// fit cuts a line to a width.
func (l line) fit(width int) line {
	for i, s := range l {
		w := s.text.width()
		if w > width {
			return append(append(line{}, l[:i]...), span{s.text.fit(width, false), s.role})
		}
		width -= w
	}
	return l
}

// labelled is a value after its quiet label; nothing when there is no value. A
// role, if given, marks a value that is not zero.
func labelled(label, value text, when ...role) line {
	if value == "" {
		return nil
	}
	r := plain
	if len(when) > 0 && value != "0" && value != none {
		r = when[0]
	}
	if label == "" {
		return line{{value, r}}
	}
	return line{{label + " ", dim}, {value, r}}
}

package identity

import "strings"

// findUnits finds the systemd unit of a path, and the unit of a user's own
// systemd below user@N.service. It returns how many elements the innermost of
// them takes, 0 when there is none. Below a unit come cgroups that the unit
// made for itself; they belong to it.
func (p *place) findUnits(elems []string) (end int) {
	for i, e := range elems {
		switch {
		case strings.HasSuffix(e, ".service"), strings.HasSuffix(e, ".scope"):
			unit := unescapeUnit(e)
			if p.unit == "" {
				p.unit, end = unit, i+1
				if strings.HasPrefix(unit, "user@") {
					continue
				}
				return end
			}
			p.userUnit = unit
			return i + 1
		case strings.HasSuffix(e, ".slice"):
		default:
			if p.unit == "" {
				return 0 // systemd has nothing but slices above its units
			}
		}
	}
	if p.unit == "" { // a slice with processes of its own
		if last := elems[len(elems)-1]; strings.HasSuffix(last, ".slice") {
			p.unit, end = unescapeUnit(last), len(elems)
		}
	}
	return end
}

// unescapeUnit undoes systemd's escapes of single bytes ("\x2d" for "-"). What
// is not an escape stays as it is.
func unescapeUnit(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			hi, ok1 := unhex(s[i+2])
			lo, ok2 := unhex(s[i+3])
			if ok1 && ok2 {
				b.WriteByte(hi<<4 | lo)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

package ui

import (
	"strings"
	"time"
)

// policyColumns are the columns of the policy table, from left to right.
func policyColumns() []column[policyRow] {
	type row = policyRow
	return []column[row]{
		{ID: "policy", Title: "POLICY", Min: 16, Width: 24, Max: 50, Priority: 100, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.Name)) },
			Key:  func(r *row) key { return key{text: r.Name} }},
		{ID: "kind", Title: "KIND", Min: 6, Width: 19, Priority: 60,
			Cell: func(r *row, _ *env) cell { return kindOfPolicy(r.Kind) },
			Key:  func(r *row) key { return key{text: r.Kind} }},
		{ID: "mode", Title: "MODE", Min: 7, Width: 7, Priority: 99,
			Cell: func(r *row, _ *env) cell { return policyMode(r.Mode) },
			Key:  func(r *row) key { return key{text: r.Mode} }},
		{ID: "left", Title: "LEFT", Min: 6, Width: 6, Priority: 82, Right: true,
			Cell: func(r *row, e *env) cell { return leftCell(r.Until, e.now) },
			Key:  func(r *row) key { return leftKey(r.Until) }},
		{ID: "selects", Title: "SELECTS", Min: 12, Width: 24, Max: 60, Priority: 80,
			Cell: func(r *row, _ *env) cell { return selectedCell(r) },
			Key:  func(r *row) key { return number(len(r.Selected)) }, Desc: true},
		{ID: "denied", Title: "DENIED", Min: 7, Width: 8, Priority: 98, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Denied, bad) },
			Key:  func(r *row) key { return number(r.Denied) }},
		{ID: "denied/s", Title: "DEN/S", Min: 5, Width: 5, Priority: 90, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.deniedRate), bad) },
			Key:  func(r *row) key { return number(r.deniedRate) }},
		{ID: "audited", Title: "AUDITED", Min: 8, Width: 8, Priority: 97, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Audited, warn) },
			Key:  func(r *row) key { return number(r.Audited) }},
		{ID: "audited/s", Title: "AUD/S", Min: 5, Width: 5, Priority: 89, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.auditedRate), warn) },
			Key:  func(r *row) key { return number(r.auditedRate) }},
		{ID: "last", Title: "LAST", Min: 6, Width: 6, Priority: 70, Right: true, Desc: true,
			Cell: func(r *row, e *env) cell { return sinceCell(r.last, e.now) },
			Key:  func(r *row) key { return number(r.last) }},
		{ID: "since", Title: "IN MODE", Min: 7, Width: 7, Priority: 40, Right: true, Wide: true,
			Cell: func(r *row, e *env) cell { return sinceCell(nanos(r.Since), e.now) },
			Key:  func(r *row) key { return number(-nanos(r.Since)) }},
		{ID: "file", Title: "FILE", Min: 12, Width: 24, Max: 60, Priority: 20, Middle: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return optional(clean(r.File)) },
			Key:  func(r *row) key { return key{text: r.File} }},
	}
}

// kindOfPolicy shortens what all kinds but Guard end with.
func kindOfPolicy(kind string) cell {
	c := optional(clean(kind))
	if brief := strings.TrimSuffix(kind, "NetworkPolicy"); brief != kind {
		c.Short = clean(brief)
		if brief == "" {
			c.Short = "K8s"
		}
	}
	return c
}

func policyMode(mode string) cell {
	c := optional(clean(mode))
	if mode == modeEnforce {
		c.Role = accent
	}
	return c
}

// nanos is a time as the rest of the package has it: 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// sinceCell is how long ago something was.
func sinceCell(at, now int64) cell {
	if at == 0 {
		return quiet(none, plain)
	}
	return ageOf(now-at, plain)
}

// leftCell is how long it is enforced still; audit comes by itself then.
func leftCell(until time.Time, now int64) cell {
	if until.IsZero() {
		return quiet(none, plain)
	}
	return ageOf(until.UnixNano()-now, warn)
}

// ageOf keeps the larger of two units where it is narrow.
func ageOf(ns int64, r role) cell {
	t := age(ns)
	return cell{Text: t, Short: t[:1+strings.IndexAny(string(t), "smhd")], Role: r}
}

// leftKey puts those last that stay as they are.
func leftKey(until time.Time) key {
	if until.IsZero() {
		return key{text: "no end"}
	}
	return number(until.UnixNano())
}

// selectedCell counts the workloads and names as many as there is room for.
func selectedCell(r *policyRow) cell {
	switch n := len(r.Selected); {
	case r.gone:
		return cell{Text: "gone", Role: dim}
	case !r.told:
		return quiet(none, plain)
	case n == 0:
		return cell{Text: "nobody", Role: warn}
	default:
		return cell{Text: count(uint64(n)) + ": " + selectedNames(r.Selected)}
	}
}

// selectedNames joins as many names as a line can hold.
func selectedNames(names []string) (out text) {
	for _, n := range names {
		if len(out) > maxText {
			break
		}
		out = join(", ", out, clean(n))
	}
	return out
}

package ui

import (
	"strconv"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// verdictColumns are the columns of what policies refused, from left to right: who,
// to whom (the arrow points from the client to the server), by which rule.
func verdictColumns() []column[aggregate.VerdictRow] {
	type row = aggregate.VerdictRow
	return []column[row]{
		{ID: "verdict", Title: "VERDICT", Min: 7, Width: 7, Priority: 99,
			Cell: func(r *row, _ *env) cell { return verdictCell(r) },
			Key:  func(r *row) key { return key{text: string(verdictCell(r).Text)} }},
		{ID: "workload", Title: "WORKLOAD", Min: 12, Width: 20, Max: 40, Full: 32, Priority: 98, Middle: true, Fixed: true,
			Cell: func(r *row, _ *env) cell { return judgedCell(r) },
			Key:  func(r *row) key { return key{text: string(judgedCell(r).Text)} }},
		{ID: "peer", Title: "PEER", Min: 14, Width: 22, Max: 44, Full: 34, Priority: 97, Middle: true,
			Cell: func(r *row, _ *env) cell { return verdictPeer(r) },
			Key:  func(r *row) key { return endKey(r.Peer, r.Remote) }},
		{ID: "port", Title: "PORT", Min: 8, Width: 11, Priority: 96,
			Cell: func(r *row, _ *env) cell { return verdictPort(r) },
			Key:  func(r *row) key { return key{r.Protocol.String(), float64(r.Port)} }},
		{ID: "rule", Title: "RULE", Min: 12, Width: 34, Max: 90, Priority: 94,
			Cell: func(r *row, _ *env) cell { return verdictRule(r) },
			Key:  func(r *row) key { return key{text: r.Rule} }},
		{ID: "count", Title: "COUNT", Min: 6, Width: 8, Priority: 95, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Count, plain) },
			Key:  func(r *row) key { return number(r.Count) }},
		{ID: "rate", Title: "RATE", Min: 5, Width: 5, Priority: 60, Right: true, Desc: true,
			Cell: func(r *row, _ *env) cell { return quiet(perSecond(r.Rate), plain) },
			Key:  func(r *row) key { return number(r.Rate) }},
		{ID: "last", Title: "LAST", Min: 5, Width: 6, Priority: 92, Right: true, Desc: true,
			Cell: func(r *row, e *env) cell { return sinceCell(r.Last, e.now) },
			Key:  func(r *row) key { return number(r.Last) }},
		{ID: "process", Title: "PROCESS", Min: 7, Width: 16, Max: 24, Full: 14, Priority: 90,
			Cell: func(r *row, _ *env) cell { return verdictProcess(r) },
			Key:  func(r *row) key { return key{text: r.Comm.String()} }},
		{ID: "policy", Title: "POLICY", Min: 12, Width: 20, Max: 50, Priority: 70, Middle: true,
			Cell: func(r *row, _ *env) cell { return optional(verdictPolicies(r)) },
			Key:  func(r *row) key { return key{text: string(verdictPolicies(r))} }},
		{ID: "ended", Title: "ENDED", Min: 6, Width: 7, Priority: 30, Right: true, Desc: true, Wide: true,
			Cell: func(r *row, _ *env) cell { return countCell(r.Ended, warn) },
			Key:  func(r *row) key { return number(r.Ended) }},
	}
}

func verdictCell(r *aggregate.VerdictRow) cell {
	if r.Denied {
		return cell{Text: "denied", Role: bad}
	}
	return cell{Text: "audited", Role: warn}
}

func judgedCell(r *aggregate.VerdictRow) cell {
	if r.Other {
		return cell{Text: "all others", Short: "all others", Role: dim}
	}
	return endCell(r.Workload, "")
}

// verdictPeer points an arrow at who was asked.
func verdictPeer(r *aggregate.VerdictRow) cell {
	if r.Other {
		return quiet(none, plain)
	}
	arrow := text("→ ")
	if r.Ingress {
		arrow = "← "
	}
	c := endCell(r.Peer, r.Remote)
	c.Text, c.Short = arrow+c.Text, arrow+c.Short
	return c
}

// verdictPort is the server's port, or the type of an ICMP message.
func verdictPort(r *aggregate.VerdictRow) cell {
	name := text(r.Protocol.String())
	switch {
	case r.Other:
		return quiet(none, plain)
	case r.Protocol.HasPorts():
		return cell{Text: name + "/" + text(strconv.Itoa(int(r.Port)))}
	case r.Protocol == flow.ICMP || r.Protocol == flow.ICMPv6:
		kind := text(strconv.Itoa(int(r.Port)))
		return cell{Text: name + " type " + kind, Short: name + " " + kind}
	}
	return cell{Text: name}
}

func verdictRule(r *aggregate.VerdictRow) cell {
	switch {
	case r.Other:
		return cell{Text: "for which there was no room", Role: dim}
	case r.Rule == "":
		return cell{Text: "no rule allows it", Short: "no rule", Role: dim}
	}
	return cell{Text: clean(r.Rule)}
}

func verdictProcess(r *aggregate.VerdictRow) cell {
	name := clean(r.Comm.String())
	if r.PID == 0 {
		return optional(name)
	}
	return cell{Text: join(" ", name, text(strconv.FormatUint(uint64(r.PID), 10))), Short: optional(name).Text}
}

// verdictPolicies names as many as a line can hold.
func verdictPolicies(r *aggregate.VerdictRow) (out text) {
	for _, p := range r.By {
		if len(out) > maxText {
			break
		}
		out = join(", ", out, clean(p.String()))
	}
	return out
}

// verdictKey tells verdicts of one snapshot apart, and finds them in the next.
func verdictKey(r *aggregate.VerdictRow) string {
	k := workloadKey(r.Workload) + "\x00" + workloadKey(r.Peer) + "\x00" + r.Remote + "\x00" + r.Rule + "\x00" +
		strconv.Itoa(int(r.Protocol)) + "\x00" + strconv.Itoa(int(r.Port)) + "\x00" + strconv.FormatBool(r.Ingress) + strconv.FormatBool(r.Denied) +
		strconv.FormatBool(r.Other)
	for _, p := range r.By {
		k += "\x00" + policyID(p.Kind, p.String())
	}
	return k
}

package policy

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
)

// Limits bound what Compile makes. Zero values are the defaults.
type Limits struct {
	Entries    int // of one Set; 16,384 when 0
	Prefixes   int // 65,536 when 0
	Names      int // of peers, and as many of questions; 4,096 when 0
	Sets       int // 4,096 when 0
	Identities int // of workloads; 16,384 when 0
}

func (l Limits) or() Limits {
	set := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	set(&l.Entries, 16384)
	set(&l.Prefixes, 65536)
	set(&l.Names, 4096)
	set(&l.Sets, 4096)
	set(&l.Identities, 16384)
	return l
}

// Compile makes the tables of some policies for the workloads that are known. It
// is pure: the same policies and workloads in any order give the same tables.
// The tables are nil where a problem is an Error; warnings come with tables.
//
// Problems that depend on the workloads of the moment, such as a named port that
// one of them lacks, are warnings here and errors of Check: a container that
// starts must not keep others from their policies. Until they are mended an
// allowance opens nothing and a denial denies the whole protocol.
func Compile(policies []*Policy, workloads []Workload, limits Limits) (*Tables, Problems) {
	t, r := compile(policies, workloads, limits.or())
	r.problems.sort()
	return t, r.problems
}

func compile(policies []*Policy, workloads []Workload, limits Limits) (*Tables, *resolution) {
	p := newProgram(policies)
	r := newResolution(p, workloads)
	t := &Tables{
		Workloads: make(map[uint64]WorkloadEntry, len(workloads)),
		Rules:     p.rules,
	}
	of, asked := p.patterns()
	for _, pattern := range of {
		t.Names = append(t.Names, Name{r.names[pattern], pattern})
	}
	for _, pattern := range asked {
		t.Asked = append(t.Asked, Name{r.names[pattern], pattern})
	}
	r.fillPrefixes(t)
	r.fillSets(t, limits)
	r.bound("prefixes", len(t.Prefixes), limits.Prefixes)
	r.bound("names", len(t.Names), limits.Names)
	r.bound("names of questions", len(t.Asked), limits.Names)
	r.bound("sets of rules", len(t.Sets), limits.Sets)
	r.bound("identities of workloads", len(r.classes.all)-firstClass, limits.Identities)
	if p.problems.Err() != nil {
		return nil, r
	}
	for _, one := range r.classes.all {
		for _, m := range one.members {
			t.Workloads[workloads[m].Cgroup] = WorkloadEntry{one.identity, one.set}
		}
	}
	return t, r
}

func (r *resolution) bound(what string, got, most int) {
	if got > most {
		r.problems = append(r.problems, Problem{Severity: Error, Text: fmt.Sprintf("the policies need %d %s, and %d fit", got, what, most)})
	}
}

// fillPrefixes gives addresses to identities: a workload's own before any block.
func (r *resolution) fillPrefixes(t *Tables) {
	t.Prefixes = map[netip.Prefix]Identity{
		netip.MustParsePrefix("127.0.0.0/8"): IdentityHost,
		netip.MustParsePrefix("::1/128"):     IdentityHost,
	}
	for i, p := range r.prefixes.all {
		t.Prefixes[p] = r.prefixes.ids[i]
	}
	owner := map[netip.Prefix]int{}
	for i, one := range r.classes.all {
		for _, m := range one.members {
			for _, a := range r.workloads[m].Addrs {
				a = a.Unmap().WithZone("")
				if !a.IsValid() || a.IsUnspecified() {
					continue
				}
				p := netip.PrefixFrom(a, a.BitLen())
				t.Prefixes[p] = one.identity
				if other, ok := owner[p]; ok && other != i {
					r.shared(t, p, other, i)
					continue
				}
				owner[p] = i
			}
		}
	}
}

// shared settles an address of workloads that policies tell apart: it could be
// either. The containers of a pod are like this.
func (r *resolution) shared(t *Tables, p netip.Prefix, a, b int) {
	t.Prefixes[p] = IdentityUnknown
	name := func(i int) string { return r.workloads[r.classes.all[i].members[0]].String() }
	r.problems = append(r.problems, Problem{Severity: Warning, Text: fmt.Sprintf(
		"address %s is of %q and of %q, which policies tell apart: where only the address is known it is an unknown workload's", p.Addr(), name(a), name(b))})
}

// table is what a class's Set is made of.
type table struct {
	statements []*statement
	posture    [2]Posture
}

// apply says to each class what subjects and Guards have for it.
func (r *resolution) apply() []table {
	tables := make([]table, len(r.classes.all))
	for _, s := range r.subjects {
		for _, i := range r.classes.subjects(s) {
			tables[i].statements = append(tables[i].statements, s.statements...)
			for d, p := range s.posture {
				at := &tables[i].posture[d]
				at.Enforce, at.Audit = at.Enforce || p.Enforce, at.Audit || p.Audit
			}
		}
	}
	for _, w := range r.wards {
		r.applyGuard(w, tables)
	}
	return tables
}

// applied are the statements for one class.
func (r *resolution) applied(i int) []*statement { return r.apply()[i].statements }

// fillSets gives each class its Set. Classes to whom the same is said share one.
func (r *resolution) fillSets(t *Tables, limits Limits) {
	tables := r.apply()
	// The unknown workload's table is that of everyone whom no policy selects.
	known := map[string]int{}
	order := []int{classUnknown}
	for i := range tables {
		if i != classUnknown && i != classWorld {
			order = append(order, i)
		}
	}
	for _, i := range order {
		key := r.signature(i, &tables[i])
		set, ok := known[key]
		if !ok {
			set = len(t.Sets)
			known[key] = set
			t.Sets = append(t.Sets, r.expand(i, &tables[i], limits.Entries))
		}
		r.classes.all[i].set = set
	}
}

// applyGuard gives everyone the Guard's word: the allowed an allowance, the
// others a denial; and the destination, where it is here, both.
func (r *resolution) applyGuard(w *ward, tables []table) {
	allowed := map[int]bool{}
	for i := range w.allowedFrom {
		for _, c := range r.classes.selected(&w.allowedFrom[i]) {
			allowed[c] = true
		}
	}
	for i := range tables {
		if allowed[i] {
			tables[i].statements = append(tables[i].statements, w.allow)
		} else {
			tables[i].statements = append(tables[i].statements, w.deny)
		}
	}
	for _, t := range w.deny.targets {
		if t.class >= firstClass || t.class == classHost {
			tables[t.class].statements = append(tables[t.class].statements, w.shut, w.open)
		}
	}
}

// signature is the same for classes whose Sets are the same.
func (r *resolution) signature(i int, t *table) string {
	var b []byte
	for _, p := range t.posture {
		b = fmt.Append(b, p.Enforce, p.Audit)
	}
	for _, st := range t.statements {
		b = binary.LittleEndian.AppendUint32(b, uint32(st.id))
		b = append(b, byte(st.direction))
		if st.direction == Ingress {
			for _, n := range st.named {
				port, _ := r.port(i, n.Name)
				b = binary.LittleEndian.AppendUint16(b, port)
			}
		}
	}
	return string(b)
}

// expand turns what is said to a class into entries.
func (r *resolution) expand(i int, t *table, most int) Set {
	e := expansion{names: r.names, rows: map[rowKey]row{}}
	for _, st := range t.statements {
		for _, to := range st.targets {
			for at, asked := range r.covers(st, i, to) {
				e.add(st, to.identity, at, asked)
			}
			if len(e.rows) > 4*most { // more than folding can make good
				break
			}
		}
	}
	s := e.set()
	s.Ingress, s.Egress = t.posture[Ingress], t.posture[Egress]
	size := len(s.Entries)
	for _, q := range s.Questions {
		size += len(q.Names)
	}
	if size > most {
		who := "everyone whom no policy selects"
		if m := r.classes.all[i].members; len(m) > 0 {
			who = fmt.Sprintf("%q", r.workloads[m[0]].String())
		}
		r.problems = append(r.problems, Problem{Severity: Error, Text: fmt.Sprintf(
			"the policies of %s need %d entries or more, and %d fit", who, size, most)})
	}
	return s
}

// covers gives what of protocols and ports a statement says to a class about a
// peer, and for which questions alone; nil is for all.
func (r *resolution) covers(st *statement, self int, to target) iter.Seq2[l4, *asked] {
	return func(yield func(l4, *asked) bool) {
		some := func(list []l4, named []Port, only *asked) bool {
			for _, at := range list {
				if !yield(at, only) {
					return false
				}
			}
			for _, n := range named {
				for _, at := range r.namedPort(st, self, to, n) {
					if !yield(at, only) {
						return false
					}
				}
			}
			return true
		}
		if !some(st.l4, st.named, nil) {
			return
		}
		for i := range st.asked {
			if one := &st.asked[i]; !some(one.l4, one.named, one) {
				return
			}
		}
	}
}

// namedPort gives the number of a named port: the server's label has it.
func (r *resolution) namedPort(st *statement, self int, to target, n Port) []l4 {
	server := to.class
	if st.direction == Ingress {
		server = self
	}
	if port, ok := r.port(server, n.Name); ok {
		return n.l4(port)
	}
	r.unnamed(st, server, n)
	if !st.deny {
		return nil
	}
	n.Name = ""
	return n.l4(0)
}

func (r *resolution) unnamed(st *statement, server int, n Port) {
	p := Problem{Severity: Warning, Pos: st.pos, Policy: st.policy.String(), onWorkloads: true}
	if server >= firstClass {
		m := r.classes.all[server].members[0]
		p.Text = fmt.Sprintf("named port %q: workload %q has no label %q", n.Name, r.workloads[m].String(), portLabel+n.Name)
	} else {
		p.Text = fmt.Sprintf("named port %q: the server is no workload that could have the label %q", n.Name, portLabel+n.Name)
	}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

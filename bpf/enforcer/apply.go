package enforcer

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Apply makes the plan hold: tables are filled beside those in use and put in
// their places one by one, each at once, so that no workload is without policy at
// any moment. A plan that does not fit is refused before anything changes. When
// Apply returns, whatever comes is judged by the new plan. The tables of the one
// before stay until Tidy.
func (e *Enforcer) Apply(plan *kernel.Plan) (kernel.Report, error) {
	begun := time.Now()
	var r kernel.Report
	tables, err := e.prepare(plan, &r)
	if errors.Is(err, errNoRoom) && len(e.sets.left()) > 0 {
		if err = e.Tidy(); err == nil {
			tables, err = e.prepare(plan, &r)
		}
	}
	if err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	defer tables.close()
	if err := e.swap(plan, tables); err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	// Who was not ruled before may be now.
	e.devices.straight, e.devices.express = nil, express{}
	d, err := e.Devices()
	if err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	for _, what := range d.Uncovered {
		e.cfg.Logger.Warn("frames of packet sockets are not judged here", "where", what)
	}
	if err := e.retire(); err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	r.Took = time.Since(begun)
	return r, nil
}

// prepared are the tables of a plan, filled, with their places.
type prepared struct {
	slots   []uint32       // of the plan's sets
	changed []change       // those whose tables are not in their places yet
	sending bool           // somebody has rules of egress
	names   *preparedNames // of peers
	asked   *preparedNames // of questions

	places   *places
	homeless uint64 // cgroups that had none before the places were looked at
	hosts    map[[16]byte]uint32
	blocks   map[enforceAddressKey]uint32
}

// number is what members of a set have: everyone's is named by the regime, so that
// it changes for all of them at once.
func (p *prepared) number(set int) uint32 {
	if set == 0 {
		return uint32(enforceRuleSetSET_EVERYONE)
	}
	return p.slots[set]
}

func (p *prepared) close() {
	p.names.close()
	p.asked.close()
	for _, c := range p.changed {
		c.tables.close()
	}
}

func (e *Enforcer) prepare(plan *kernel.Plan, r *kernel.Report) (_ *prepared, err error) {
	p, t := &prepared{}, plan.Tables
	*r = kernel.Report{Addresses: len(t.Prefixes), Sets: len(t.Sets)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if len(t.Sets) == 0 {
		return nil, errors.New("a plan without a set for everyone")
	}
	if p.names, err = e.names.prepare(t.Names); err != nil {
		return nil, err
	}
	if p.asked, err = e.asked.prepare(t.Asked); err != nil {
		return nil, fmt.Errorf("rules for questions: %w", err)
	}
	claimed, numbers := e.sets.copy(), numberRules(t)
	for _, s := range t.Sets {
		rules := encode(numbers, s)
		r.Rules += len(rules)
		d := digest(rules)
		slot, there, err := claimed.find(d, e.maps["sets"].MaxEntries())
		if err != nil {
			return nil, err
		}
		if !there {
			tables, err := e.inner.make(rules)
			if err != nil {
				return nil, err
			}
			c := change{slot, filled{d, rulingsOf(s, rules)}, tables}
			claimed.take(slot, c.filled)
			p.changed = append(p.changed, c)
		}
		p.slots = append(p.slots, slot)
		p.sending = p.sending || claimed.taken[slot].ruled.Egress.Ruling != uint16(deviceRulingRULED_NOT)
	}
	r.Filled = len(p.changed)
	p.hosts, p.blocks = addressesOf(t)
	if err := e.survey(plan, p); err != nil {
		return nil, err
	}
	r.Workloads = len(p.places.members)
	return p, e.fits(p, plan.Hold)
}

// survey gives every cgroup of this moment its place in the plan.
func (e *Enforcer) survey(plan *kernel.Plan, p *prepared) (err error) {
	var newcomer enforceMember
	if plan.Hold {
		newcomer = enforceMember{Identity: uint32(enforceIdentityIDENTITY_UNKNOWN), Set: uint32(enforceRuleSetSET_HELD), Flags: uint32(enforceMemberFlagMEMBER_CONTAINER)}
	}
	p.homeless = atomic.LoadUint64(&e.regime.Homeless)
	before, err := e.members()
	if err != nil {
		return err
	}
	if p.places, err = place(e.cfg.CgroupRoot, plan, p.number, newcomer); err != nil {
		return err
	}
	p.places.before = before
	return nil
}

// swap puts the plan in place. Blocks of addresses that are gone go first, and
// new ones come last: between, every address has an identity that the old tables
// and the new ones know.
func (e *Enforcer) swap(plan *kernel.Plan, tables *prepared) error {
	if err := errors.Join(e.blocks.forget(tables.blocks), e.hosts.forget(tables.hosts)); err != nil {
		return fmt.Errorf("take out an address: %w", err)
	}
	e.sets.wanted = map[uint32]bool{}
	for _, slot := range tables.slots {
		e.sets.wanted[slot] = true
	}
	e.devices.sending = plan.Hold || tables.sending
	if err := e.fillPlaces(tables); err != nil {
		return err
	}
	atomic.StoreUint32(&e.regime.Everyone, tables.slots[0])
	if err := e.admit(plan, tables.places); err != nil {
		return err
	}
	if err := errors.Join(e.hosts.put(tables.hosts), e.blocks.put(tables.blocks)); err != nil {
		return fmt.Errorf("put an address: %w", err)
	}
	e.devices.turns = asks(plan.Tables)
	e.declare(plan, tables.homeless)
	if !e.working {
		return e.takeOver(plan, tables)
	}
	return nil
}

// change is a table of rules, and the place that it gets.
type change struct {
	slot uint32
	filled
	tables *ruleTables
}

// fillPlaces puts tables of rules where nobody looks yet, and the patterns of names in
// the places of those before.
func (e *Enforcer) fillPlaces(p *prepared) error {
	patterns := e.maps["patterns"]
	all := append(e.names.place(patterns, p.names), e.asked.place(patterns, p.asked)...)
	for _, c := range p.changed {
		e.sets.doubt(c.slot)
		if err := e.maps["ruled"].Put(c.slot, c.ruled); err != nil {
			return fmt.Errorf("say what a set of rules is about: %w", err)
		}
		all = append(all, placing{e.maps["port_sets"], c.slot, c.tables.ports}, placing{e.maps["sets"], c.slot, c.tables.wide})
	}
	if err := e.graces.put(all); err != nil {
		return fmt.Errorf("put a table in place: %w", err)
	}
	for _, c := range p.changed {
		e.sets.take(c.slot, c.filled)
	}
	e.names.placed(p.names)
	e.asked.placed(p.asked)
	return nil
}

// takeOver puts the programs to work. What an earlier daemon had with other tables
// works until these programs know every cgroup, and are at every device: Apply then
// retires it. Theirs is the account of the cgroups that came since the survey.
func (e *Enforcer) takeOver(plan *kernel.Plan, tables *prepared) error {
	// Twice: before, since these programs judge from the start, and for what was
	// answered before they were all there.
	if err := e.carry(); err != nil {
		return err
	}
	if err := e.attach(); err != nil {
		return err
	}
	if err := e.carry(); err != nil {
		return err
	}
	if err := e.survey(plan, tables); err != nil {
		return err
	}
	if err := e.admit(plan, tables.places); err != nil {
		return err
	}
	e.declare(plan, tables.homeless)
	e.working = true
	return nil
}

// declare says what the plan needs of the programs, and that it holds. Cgroups that
// became homeless since the survey have no place in it.
func (e *Enforcer) declare(plan *kernel.Plan, homeless uint64) {
	r := e.regime
	atomic.StoreUint32(&r.Shut, 0)
	if atomic.LoadUint64(&r.Homeless) != homeless {
		atomic.StoreUint32(&r.Shut, 1)
	}
	atomic.StoreUint64(&r.Patience, uint64(e.cfg.Patience))
	atomic.StoreUint32(&r.Hold, flag(plan.Hold))
	atomic.StoreUint32(&r.HoldOrphan, flag(plan.HoldOrphans))
	// Who has not been asked who they are cannot be told later: notes are always left.
	atomic.StoreUint32(&r.Notes, 1)
	atomic.StoreUint32(&r.Names, flag(len(plan.Tables.Names) > 0 || slices.ContainsFunc(plan.Tables.Sets, func(s policy.Set) bool { return len(s.Questions) > 0 })))
	r.alive()
	r.next()
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// Alive says that the daemon lives; call it every second or so.
func (e *Enforcer) Alive() { e.regime.alive() }

package enforcer

import (
	"crypto/sha256"
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
// Apply returns, whatever passes was judged by the new plan.
func (e *Enforcer) Apply(plan *kernel.Plan) (kernel.Report, error) {
	begun := time.Now()
	r := kernel.Report{Addresses: len(plan.Tables.Prefixes)}
	tables, err := e.prepare(plan, &r)
	if err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	defer tables.close()
	if err := e.swap(plan, tables, &r); err != nil {
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
	tables  []*ruleTables // nil where the place has it already
	slots   []uint32
	digests [][32]byte
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
	for _, t := range p.tables {
		if t != nil {
			t.close()
		}
	}
}

func (e *Enforcer) prepare(plan *kernel.Plan, r *kernel.Report) (_ *prepared, err error) {
	p, t := &prepared{}, plan.Tables
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
		slot, filled, err := claimed.find(d, e.maps["sets"].MaxEntries())
		if err != nil {
			return nil, err
		}
		claimed.take(slot, d)
		var tables *ruleTables
		if !filled {
			if tables, err = e.inner.make(rules); err != nil {
				return nil, err
			}
			r.Filled++
		}
		p.tables, p.slots, p.digests = append(p.tables, tables), append(p.slots, slot), append(p.digests, d)
	}
	r.Sets = len(t.Sets)
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
func (e *Enforcer) swap(plan *kernel.Plan, tables *prepared, r *kernel.Report) error {
	if err := errors.Join(e.blocks.forget(tables.blocks), e.hosts.forget(tables.hosts)); err != nil {
		return fmt.Errorf("take out an address: %w", err)
	}
	if err := errors.Join(e.names.put(e.maps["patterns"], tables.names), e.asked.put(e.maps["patterns"], tables.asked)); err != nil {
		return err
	}
	used := map[uint32]bool{}
	var changed []change // of the others what is there is the same, and so is what it is about
	e.devices.sending = plan.Hold
	for i, t := range tables.tables {
		used[tables.slots[i]] = true
		ruled := rulingsOf(plan.Tables.Sets[i])
		e.devices.sending = e.devices.sending || ruled.Egress != uint16(deviceRulingRULED_NOT)
		if t != nil {
			changed = append(changed, change{tables.slots[i], ruled, t, tables.digests[i]})
		}
	}
	if err := e.fillPlaces(changed); err != nil {
		return err
	}
	atomic.StoreUint32(&e.regime.Everyone, tables.slots[0])
	if err := e.admit(plan, tables.places); err != nil {
		return err
	}
	if err := errors.Join(e.hosts.put(tables.hosts), e.blocks.put(tables.blocks)); err != nil {
		return fmt.Errorf("put an address: %w", err)
	}
	e.devices.turns = rejects(plan.Tables)
	e.declare(plan, tables.homeless)
	if !e.working {
		if err := e.takeOver(plan, tables); err != nil {
			return err
		}
	}
	return e.sets.release(used, e.maps["sets"], e.maps["port_sets"])
}

// change is a table of rules, and the place that it gets.
type change struct {
	slot   uint32
	ruled  deviceRulings
	tables *ruleTables
	digest [sha256.Size]byte
}

// fillPlaces puts tables where nobody looks yet.
func (e *Enforcer) fillPlaces(changed []change) error {
	err := sideBySide(2*len(changed), func(i int) error {
		c := changed[i/2]
		if i%2 == 0 {
			return errors.Join(e.maps["ruled"].Put(c.slot, c.ruled), e.maps["port_sets"].Put(c.slot, c.tables.ports))
		}
		return e.maps["sets"].Put(c.slot, c.tables.wide)
	})
	if err != nil {
		return fmt.Errorf("put a table of rules in place: %w", err)
	}
	for _, c := range changed {
		e.sets.take(c.slot, c.digest)
	}
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

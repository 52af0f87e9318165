package enforcer

import (
	"errors"
	"fmt"
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
	tables, err := e.prepare(plan.Tables, &r)
	if err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	defer tables.close()
	if err := e.swap(plan, tables, &r); err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	e.devices.straight = nil // who was not ruled before may be now
	d, err := e.Devices()
	if err != nil {
		return r, fmt.Errorf("apply policy: %w", err)
	}
	for _, what := range d.Uncovered {
		e.cfg.Logger.Warn("frames of packet sockets are not judged here", "where", what)
	}
	r.Took = time.Since(begun)
	return r, nil
}

// prepared are the tables of a plan, filled, with their places.
type prepared struct {
	tables  []*ruleTables // nil where the place has it already
	slots   []uint32
	digests [][32]byte
	names   *preparedNames
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
	for _, t := range p.tables {
		if t != nil {
			t.close()
		}
	}
}

func (e *Enforcer) prepare(t *policy.Tables, r *kernel.Report) (_ *prepared, err error) {
	p := &prepared{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if free := int(e.maps["addresses"].MaxEntries()); len(t.Prefixes) > free {
		return nil, fmt.Errorf("%d addresses and blocks: the table has room for %d", len(t.Prefixes), free)
	}
	if len(t.Sets) == 0 {
		return nil, errors.New("a plan without a set for everyone")
	}
	if p.names, err = e.names.prepare(t.Names); err != nil {
		return nil, err
	}
	claimed := e.sets.copy()
	for _, s := range t.Sets {
		rules := encode(t, s)
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
	return p, nil
}

// swap puts the plan in place. Blocks of addresses that are gone go first, and
// new ones come last: between, every address has an identity that the old tables
// and the new ones know.
func (e *Enforcer) swap(plan *kernel.Plan, tables *prepared, r *kernel.Report) error {
	var newcomer enforceMember
	if plan.Hold {
		newcomer = enforceMember{Identity: uint32(enforceIdentityIDENTITY_UNKNOWN), Set: uint32(enforceRuleSetSET_HELD), Flags: uint32(enforceMemberFlagMEMBER_CONTAINER)}
	}
	places, err := place(e.cfg.CgroupRoot, plan, tables.number, newcomer)
	if err != nil {
		return err
	}
	r.Workloads = len(places.members)
	hosts, blocks := addressesOf(plan.Tables)
	if err := errors.Join(e.blocks.forget(blocks), e.hosts.forget(hosts)); err != nil {
		return fmt.Errorf("take out an address: %w", err)
	}
	if err := e.names.put(e.maps["patterns"], tables.names); err != nil {
		return err
	}
	used := map[uint32]bool{}
	for i, t := range tables.tables {
		used[tables.slots[i]] = true
		if err := e.maps["ruled"].Put(tables.slots[i], uint32(rulingOf(plan.Tables.Sets[i]))); err != nil {
			return fmt.Errorf("say what a table of rules is about: %w", err)
		}
		if t == nil {
			continue
		}
		if err := errors.Join(e.maps["port_sets"].Put(tables.slots[i], t.ports), e.maps["sets"].Put(tables.slots[i], t.wide)); err != nil {
			return fmt.Errorf("put a table of rules in place: %w", err)
		}
		e.sets.take(tables.slots[i], tables.digests[i])
	}
	atomic.StoreUint32(&e.regime.Everyone, tables.slots[0])
	if err := e.admit(plan, places); err != nil {
		return err
	}
	if err := errors.Join(e.hosts.put(hosts), e.blocks.put(blocks)); err != nil {
		return fmt.Errorf("put an address: %w", err)
	}
	e.declare(plan)
	if !e.working {
		if err := e.attach(); err != nil {
			return err
		}
		e.regime.next()
	}
	return e.sets.release(used, e.maps["sets"], e.maps["port_sets"])
}

// declare says what the plan needs of the programs, and that it holds.
func (e *Enforcer) declare(plan *kernel.Plan) {
	r := e.regime
	atomic.StoreUint64(&r.Homeless, 0)
	atomic.StoreUint64(&r.Patience, uint64(e.cfg.Patience))
	atomic.StoreUint32(&r.Hold, flag(plan.Hold))
	atomic.StoreUint32(&r.HoldOrphan, flag(plan.HoldOrphans))
	// Who has not been asked who they are cannot be told later: notes are always left.
	atomic.StoreUint32(&r.Notes, 1)
	atomic.StoreUint32(&r.Names, flag(len(plan.Tables.Names) > 0))
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

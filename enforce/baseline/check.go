package baseline

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/seed79351815/weir/collector/flow"
)

// check holds what was read to the bounds that a Learner keeps.
func (b *Baseline) check() error {
	switch {
	case b.Profiles == nil || b.Missed == nil:
		return fmt.Errorf("null in place of an object")
	case len(b.Profiles) > maxProfiles:
		return fmt.Errorf("%d workloads, at most %d are kept", len(b.Profiles), maxProfiles)
	case len(b.Windows) > maxWindows:
		return fmt.Errorf("%d windows, at most %d are kept", len(b.Windows), maxWindows)
	case len(b.Missed) > 4:
		return fmt.Errorf("%d reasons for what was missed, there are 4", len(b.Missed))
	}
	if !inOrder(b.Host) {
		return fmt.Errorf("addresses of the host that are too many or not in order")
	}
	for i := range b.Windows {
		if err := b.Windows[i].check(i == len(b.Windows)-1); err != nil {
			return fmt.Errorf("window %d: %w", i+1, err)
		}
	}
	for k, p := range b.Profiles {
		if p == nil {
			return fmt.Errorf("workload %s: null", k)
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("workload %s: %w", k, err)
		}
	}
	if n := b.cost(); n > maxCost {
		return fmt.Errorf("%d bytes, at most %d are kept", n, maxCost)
	}
	return nil
}

func (w *Window) check(last bool) error {
	switch {
	case w.Start < 0 || w.End < 0 || w.Until < 0 || w.Blind < 0 || w.Alive < w.Start:
		return fmt.Errorf("times that cannot be")
	case w.End == 0 && !last:
		return fmt.Errorf("open, but not the last one")
	case w.End != 0 && w.End < w.Start:
		return fmt.Errorf("ends before it starts")
	case len(w.Lost) > maxReasons+1 || len(w.Unseen) > maxReasons+1:
		return fmt.Errorf("too many reasons")
	}
	for _, keys := range [...][]string{sortedText(w.Lost), sortedText(w.Unseen)} {
		for _, k := range keys {
			if reason(k) != k {
				return fmt.Errorf("a reason that is too long or no text")
			}
		}
	}
	return nil
}

func (p *Profile) check() error {
	if len(p.Labels) > maxLabels {
		return fmt.Errorf("%d labels, at most %d are kept", len(p.Labels), maxLabels)
	}
	if !slices.Equal(p.Labels, cleanLabels(p.Labels)) {
		return fmt.Errorf("a label that is too long or no text")
	}
	for _, m := range [...]map[Peer]*Contact{p.Ingress, p.Egress} {
		if len(m) > maxContacts+maxAddresses {
			return fmt.Errorf("%d peers, at most %d are kept", len(m), maxContacts+maxAddresses)
		}
		for peer, c := range m {
			if c == nil {
				return fmt.Errorf("peer %s: null", peer)
			}
			if err := c.check(); err != nil {
				return fmt.Errorf("peer %s: %w", peer, err)
			}
		}
	}
	return nil
}

func (c *Contact) check() error {
	for _, m := range [...]map[Service]*Traffic{c.Services, c.Attempts} {
		if len(m) > (maxServices+1)*256 {
			return fmt.Errorf("%d services", len(m))
		}
		for s, t := range m {
			if t == nil {
				return fmt.Errorf("service %s: null", s)
			}
		}
	}
	if len(c.Operations) > maxOperations {
		return fmt.Errorf("%d operations, at most %d are kept", len(c.Operations), maxOperations)
	}
	for o, n := range c.Operations {
		if n == nil {
			return fmt.Errorf("operation %s %q: null", flow.L7Protocol(o.Protocol), o.Route)
		}
	}
	if !inOrder(c.Addresses) {
		return fmt.Errorf("addresses that are too many or not in order")
	}
	return nil
}

func inOrder(set []netip.Addr) bool {
	return len(set) <= maxLed && slices.IsSortedFunc(set, netip.Addr.Compare)
}

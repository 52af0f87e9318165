package enforcer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// tcx is a link to a device, and where it is pinned.
type tcx struct {
	link.Link
	pin string
}

func (e *Enforcer) tcxPin(at device) string {
	return filepath.Join(e.linkDir(), fmt.Sprintf("%s-%d-%d", at.hook.pin, at.ns, at.index))
}

// attachTCX puts a program first on a device, unless it is there already. One of
// an earlier daemon is replaced at once. Call it in the device's namespace.
func (e *Enforcer) attachTCX(p *ebpf.Program, at device) error {
	if l := e.devices.links[at]; l != nil {
		if living(l) {
			return nil
		}
		if err := e.drop(at, l); err != nil {
			return err
		}
	}
	pin := e.tcxPin(at)
	if l, err := link.LoadPinnedLink(pin, nil); err == nil {
		// The namespace or the device may be another one with the same number.
		if living(l) && l.Update(p) == nil {
			e.devices.links[at] = &tcx{l, pin}
			return nil
		}
		l.Close()
		if err := os.Remove(pin); err != nil {
			return fmt.Errorf("take out the one before: %w", err)
		}
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: at.index, Program: p, Attach: at.hook.tcx, Anchor: link.Head()})
	if err != nil {
		return err
	}
	if err := l.Pin(pin); err != nil {
		l.Close()
		return fmt.Errorf("pin: %w", err)
	}
	e.devices.links[at] = &tcx{l, pin}
	return nil
}

// living tells whether the link's device is still there.
func living(l link.Link) bool {
	info, err := l.Info()
	return err == nil && info.TCX() != nil && info.TCX().Ifindex != 0
}

func (e *Enforcer) drop(at device, l *tcx) error {
	delete(e.devices.links, at)
	// Closed last: then the program is gone from the device when Close returns, and
	// not some time later, when it may be wanted there again.
	defer l.Close()
	if err := os.Remove(l.pin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("take a program from a device: %w", err)
	}
	return nil
}

// uncover takes the program from devices that are not to be kept, also where an
// earlier daemon put it.
func (e *Enforcer) uncover(keep func(device) bool) error {
	var failed error
	for at, l := range e.devices.links {
		if !keep(at) {
			failed = errors.Join(failed, e.drop(at, l))
		}
	}
	for _, h := range []hook{outbound, inbound, farEnd} {
		pins, err := filepath.Glob(filepath.Join(e.linkDir(), h.pin+"-*"))
		if err != nil {
			return err
		}
		for _, pin := range pins {
			at := device{hook: h}
			if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(pin), h.pin), "-%d-%d", &at.ns, &at.index); err == nil && keep(at) {
				continue
			}
			if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
				failed = errors.Join(failed, fmt.Errorf("take a program from a device: %w", err))
			}
		}
	}
	return failed
}

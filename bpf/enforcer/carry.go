package enforcer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// namesSince is the first RULE_ABI whose table of the addresses of names is as it
// is now.
const namesSince = 4

// others are the directories with tables of other builds of weir.
func (e *Enforcer) others() ([]string, error) {
	dirs, err := filepath.Glob(filepath.Join(e.cfg.PinDir, "tables-v*"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range dirs {
		if dir != e.mapDir() {
			out = append(out, dir)
		}
	}
	return out, nil
}

// carry takes over which addresses names have from the tables of other builds, so
// that workloads need not ask again because weir was upgraded.
func (e *Enforcer) carry() error {
	dirs, err := e.others()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		var abi uint32
		if _, err := fmt.Sscanf(filepath.Base(dir), "tables-v%d", &abi); err != nil || abi < namesSince {
			continue
		}
		if err := e.carryNames(filepath.Join(dir, "known")); err != nil {
			return fmt.Errorf("take over the addresses of names from %s: %w", dir, err)
		}
	}
	return nil
}

func (e *Enforcer) carryNames(pin string) error {
	old, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		return err
	}
	defer old.Close()
	known := e.maps["known"]
	if old.Type() != known.Type() || old.KeySize() != known.KeySize() || old.ValueSize() != known.ValueSize() {
		return nil // a build that has it otherwise
	}
	var k enforceKnownKey
	var v enforceKnownNames
	it := old.Iterate()
	for it.Next(&k, &v) {
		if err := known.Update(&k, &v, ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return err
	}
	return nil
}

// retire takes out what other builds of weir have pinned here. Call it when these
// programs are wherever those were, at the devices too: until then both judge. Verdicts that nobody
// has read there are said to be lost.
func (e *Enforcer) retire() error {
	dirs, err := e.others()
	if err != nil {
		return err
	}
	unread := 0
	for _, dir := range dirs {
		for _, name := range verdictTables {
			n, err := unreadIn(filepath.Join(dir, name))
			if err != nil {
				e.cfg.Logger.Warn("verdicts of an earlier build of weir are not counted", "where", dir, "error", err)
			}
			unread += n
		}
	}
	if unread > 0 {
		e.cfg.Logger.Warn("verdicts of an earlier build of weir were not read and are lost", "kinds", unread)
	}
	return removePins(e.cfg.PinDir, func(dir string) bool { return dir != e.linkDir() && dir != e.mapDir() })
}

// unreadIn counts the entries of a table whose layout is not known.
func unreadIn(pin string) (n int, err error) {
	m, err := ebpf.LoadPinnedMap(pin, &ebpf.LoadPinOptions{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer m.Close()
	key, next := []byte(nil), make([]byte, m.KeySize())
	for n < int(m.MaxEntries()) {
		var at any
		if key != nil {
			at = key
		}
		err := m.NextKey(at, &next)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n++
		key = append(key[:0], next...)
	}
	return n, nil
}

package enforcer

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// straighten makes packet sockets of ruled workloads send through the devices'
// hooks again that were told to go past them before there was a rule: their owner
// could not ask for that now. Sockets that were seen already are left out.
func (e *Enforcer) straighten(namespaces []*namespace) error {
	present, fresh := map[uint64]bool{}, map[uint64]bool{}
	for _, ns := range namespaces {
		for _, inode := range packetSockets(ns) {
			present[inode] = true
			if !e.devices.straight[inode] {
				fresh[inode] = true
			}
		}
	}
	e.devices.straight = present
	if len(fresh) == 0 {
		return nil
	}
	var failed error
	err := e.senders(func(id string) {
		failed = errors.Join(failed, straightenTask(id, fresh, e.cfg.Logger))
	})
	return errors.Join(err, failed)
}

// packetSockets are the inodes of the packet sockets of a namespace.
func packetSockets(ns *namespace) []uint64 {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(ns.path)), "net/packet"))
	if err != nil {
		return nil // the task has ended, or there are none in this kernel
	}
	return parsePacketSockets(string(text))
}

// parsePacketSockets reads /proc/net/packet: the inode is the last column.
func parsePacketSockets(text string) (inodes []uint64) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if inode, err := strconv.ParseUint(fields[len(fields)-1], 10, 64); err == nil && inode > 0 {
			inodes = append(inodes, inode)
		}
	}
	return inodes
}

// straightenTask sees to those of the sockets that a task has, and takes them
// from the list.
func straightenTask(id string, sockets map[uint64]bool, log *slog.Logger) error {
	if len(sockets) == 0 {
		return nil
	}
	dir := filepath.Join("/proc", id, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // it has ended
	}
	for _, f := range entries {
		target, err := os.Readlink(filepath.Join(dir, f.Name()))
		name, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(name, "]"), 10, 64)
		if err != nil || !sockets[inode] {
			continue
		}
		was, err := straightenSocket(id, f.Name())
		if err != nil && !gone(err) {
			return fmt.Errorf("packet socket of process %s: %w", id, err)
		}
		if was {
			log.Warn("a packet socket went past its devices and does not any more: it is older than its rules", "process", id)
		}
		delete(sockets, inode)
	}
	return nil
}

// straightenSocket tells whether the socket went past the devices' hooks.
func straightenSocket(id, fd string) (was bool, err error) {
	pid, err := strconv.Atoi(id)
	if err != nil {
		return false, err
	}
	number, err := strconv.Atoi(fd)
	if err != nil {
		return false, err
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(process)
	socket, err := unix.PidfdGetfd(process, number, 0)
	if errors.Is(err, unix.EBADF) {
		return false, nil // closed meanwhile
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(socket)
	set, err := unix.GetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS)
	return set != 0, errors.Join(err, unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 0))
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// addresses are a range of this process's memory.
type addresses struct{ begin, end uintptr }

// coolProgram gives the pages of the program's own file back to the kernel: most of
// what was read of it served the start alone, as parsers, type data and the BPF
// objects. What is needed again is read again. Pages that other processes map too
// stay.
func coolProgram() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program's file: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("find the program in memory: %w", err)
	}
	var errs []error
	for _, m := range programText(bytes.NewReader(maps), exe) {
		// Of what nobody writes to: the file has all of it.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_PAGEOUT); errno != 0 {
			errs = append(errs, fmt.Errorf("give back the program at %x: %w", m.begin, errno))
		}
	}
	return errors.Join(errs...)
}

// programText lists the mappings of the file exe that cannot be written to, in the
// text of /proc/PID/maps.
func programText(maps io.Reader, exe string) (out []addresses) {
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var m addresses
		var mode, offset, device, inode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %s %s %s", &m.begin, &m.end, &mode, &offset, &device, &inode); err != nil {
			continue
		}
		if !strings.HasSuffix(lines.Text(), " "+exe) || mode[0] != 'r' || strings.Contains(mode, "w") {
			continue
		}
		out = append(out, m)
	}
	return out
}

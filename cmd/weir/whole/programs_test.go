package whole

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// program is one of the kernel's and how often it ran.
type program struct {
	name string
	runs uint64
	took time.Duration
}

var progID = regexp.MustCompile(`(?m)^prog_id:\s+([0-9]+)$`)

// programs are those that the daemon holds: another weir may run on the host.
func (d *daemon) programs(t testing.TB) map[ebpf.ProgramID]program {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	all := map[ebpf.ProgramID]program{}
	for _, f := range files {
		text, _ := os.ReadFile(f) // of one that was closed there is none
		m := progID.FindSubmatch(text)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(string(m[1]))
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(n))
		if err != nil {
			continue // it is gone
		}
		info, err := p.Info()
		stats, serr := p.Stats()
		p.Close()
		if err == nil && serr == nil {
			all[ebpf.ProgramID(n)] = program{info.Name, stats.RunCount, stats.Runtime}
		}
	}
	if len(all) == 0 {
		t.Fatal("the daemon has no programs in the kernel")
	}
	return all
}

// awaitNoPrograms waits until the kernel has none of these programs any more.
func awaitNoPrograms(t testing.TB, programs map[ebpf.ProgramID]program) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for id, p := range programs {
		for {
			left, err := ebpf.NewProgramFromID(id)
			if errors.Is(err, os.ErrNotExist) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			left.Close()
			if time.Now().After(deadline) {
				t.Errorf("%s is still in the kernel", p.name)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

package whole

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/seed79351815/weir/bpf/lab"
)

// A machine's speed drifts within seconds: states that differ by a few per cent are
// changed for slices of this, hundreds of times, beside one load that goes on.
const (
	slice      = 150 * time.Millisecond
	sliceStart = 30 * time.Millisecond // is not counted
	slicePairs = 120
)

// hook is one at which every packet of every socket passes.
type hook struct {
	name  string // of weir's program
	at    ebpf.AttachType
	empty *ebpf.Program // does nothing
}

// BenchmarkOverheadHooks is what of OverheadRequests is programs being run for every
// packet at all, and what weir's do: requests a second with empty programs at the
// same hooks against none, and with weir's in their place.
func BenchmarkOverheadHooks(b *testing.B) {
	require(b, nginxPath, wrkPath)
	h := newDockerHost(b)
	server := h.nginx("access_log off;", manyRequests)
	client := h.idle("client", nil)
	hooks := []*hook{
		{name: "packet_egress", at: ebpf.AttachCGroupInetEgress}, {name: "packet_ingress", at: ebpf.AttachCGroupInetIngress},
	}
	for _, k := range hooks {
		k.empty = emptyProgram(b, k.at)
	}
	root := lab.CgroupRoot(b)
	for b.Loop() {
		var at []link.Link
		empty := compared(b, server, client, func(on bool) {
			for _, l := range at {
				l.Close()
			}
			at = nil
			for _, k := range hooks {
				if on {
					l, err := link.AttachCgroup(link.CgroupOptions{Path: root, Attach: k.at, Program: k.empty})
					if err != nil {
						b.Fatal(err)
					}
					at = append(at, l)
				}
			}
		})
		d := start(b)
		time.Sleep(settle)
		change := d.exchange(b, hooks)
		weirs := compared(b, server, client, change)
		change(true)
		d.stop(b)
		b.ReportMetric(empty, "empty/off")
		b.ReportMetric(weirs, "weir/empty")
		b.ReportMetric(empty*weirs, "weir/off")
		b.ReportMetric(0, "ns/op")
	}
}

func emptyProgram(b *testing.B, at ebpf.AttachType) *ebpf.Program {
	b.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "empty", Type: ebpf.CGroupSKB, AttachType: at, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// exchange changes the daemon's programs at hooks for empty ones and back.
func (d *daemon) exchange(b *testing.B, hooks []*hook) (change func(weirs bool)) {
	b.Helper()
	type place struct {
		at           link.Link
		weirs, empty *ebpf.Program
	}
	var places []place
	running := d.programs(b)
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		l := it.Take()
		info, err := l.Info()
		kept := false
		for _, k := range hooks {
			if err == nil && info.Type == link.CgroupType && running[info.Program].name == k.name {
				p, err := ebpf.NewProgramFromID(info.Program)
				if err != nil {
					b.Fatal(err)
				}
				places, kept = append(places, place{l, p, k.empty}), true
			}
		}
		if !kept {
			l.Close()
		}
	}
	if err := it.Err(); err != nil || len(places) != len(hooks) {
		b.Fatalf("%d of %d hooks found: %v", len(places), len(hooks), err)
	}
	b.Cleanup(func() {
		for _, p := range places {
			p.at.Close()
			p.weirs.Close()
		}
	})
	return func(weirs bool) {
		for _, p := range places {
			to := p.empty
			if weirs {
				to = p.weirs
			}
			if err := p.at.Update(to); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// compared is the median ratio of the requests a second in two states, slice by slice.
func compared(b *testing.B, server, client *container, change func(on bool)) float64 {
	b.Helper()
	pairs := lab.Rounds(slicePairs)
	whole := settle + time.Duration(pairs)*2*(slice+sliceStart+10*time.Millisecond) // the last is for the change
	load := make(chan error, 1)
	go func() {
		_, err := client.run(wrkPath, "-t", "1", "-c", "16", "-d", fmt.Sprintf("%ds", int(whole.Seconds())+1), "http://"+server.at(8080)+"/hello")
		load <- err
	}()
	time.Sleep(settle)
	rate := func(on bool) float64 {
		change(on)
		time.Sleep(sliceStart)
		begun, before := time.Now(), received(b, server)
		time.Sleep(slice)
		return float64(received(b, server)-before) / time.Since(begun).Seconds()
	}
	var ratios []float64
	for i := range pairs {
		first := rate(i%2 == 0)
		second := rate(i%2 != 0)
		if i%2 != 0 {
			first, second = second, first
		}
		ratios = append(ratios, first/second)
	}
	change(false)
	if err := <-load; err != nil {
		b.Fatal(err)
	}
	return median(ratios)
}

// received is how many packets came to a container: nearly all have a request each.
func received(b *testing.B, c *container) uint64 {
	b.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", c.pid))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(s.Text()), "eth0:"); ok {
			n, err := strconv.ParseUint(strings.Fields(rest)[1], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatalf("process %d has no eth0", c.pid)
	return 0
}

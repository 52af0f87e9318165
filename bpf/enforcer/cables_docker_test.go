package enforcer

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// A real container sends frames from its first moment on, and none gets anywhere
// while nobody has named it.
func TestContainersFramesAreHeldFromTheFirst(t *testing.T) {
	w := newTown(t)
	docker := lab.NewDocker(t)
	var heard atomic.Uint64
	server, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for b := make([]byte, 2048); ; heard.Add(1) {
			if _, _, err := server.ReadFrom(b); err != nil {
				return
			}
		}
	}()
	first := docker.Play("weir-frames-bridge", role.Spec{Role: role.UDPServer, Address: "0.0.0.0:0"})
	gateway := first.IP.As4()
	gateway[3] = 1
	spec := role.Spec{Role: role.Sneak, Way: role.FrameBurst, Count: 2,
		Address: fmt.Sprintf("%s:%d", net.IP(gateway[:]), server.LocalAddr().(*net.UDPAddr).Port)}

	ended := docker.Play("weir-frames-free", spec).Stop()
	if ended.Conns == 0 || heard.Load() == 0 {
		t.Fatalf("without rules %d frames were heard: %+v", heard.Load(), ended)
	}
	plan := w.plan(nil)
	plan.Hold = true
	if _, err := w.Apply(plan); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := LinkChanges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var slowest time.Duration
	var early uint64
	go func() {
		defer close(done)
		beat := time.NewTicker(time.Second)
		defer beat.Stop()
		for {
			since := time.Now()
			select {
			case told, ok := <-changes:
				if !ok {
					return
				}
				since = told
			case <-beat.C:
				w.Alive()
			}
			d, err := w.Devices()
			if err != nil {
				t.Errorf("devices: %v", err)
			}
			slowest, early = max(slowest, time.Since(since)), d.Early
		}
	}()
	before := heard.Load()
	for n := range 3 {
		docker.Play(fmt.Sprintf("weir-frames-%d", n), spec).Stop()
	}
	cancel()
	<-done
	t.Logf("the slowest look took %s; cables had carried %d frames before", slowest, early)
	if got := heard.Load() - before; got != 0 {
		t.Errorf("%d frames of containers that are held were heard", got)
	}
}

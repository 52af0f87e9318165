package enforcer

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// regime is the kernel's struct regime, in memory that both sides share.
type regime struct {
	*enforceRegime
	pages []byte
}

func openRegime(m *ebpf.Map) (*regime, error) {
	pages, err := unix.Mmap(m.FD(), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the regime: %w", err)
	}
	r := &regime{(*enforceRegime)(unsafe.Pointer(&pages[0])), pages}
	// Not to be guessed by who may set marks of packets. The programs of an earlier daemon know the same.
	if atomic.LoadUint32(&r.Mark) == 0 {
		var b [4]byte
		rand.Read(b[:]) // never fails
		atomic.StoreUint32(&r.Mark, binary.NativeEndian.Uint32(b[:])&^15|16)
	}
	return r, nil
}

// close gives the memory up. Nothing of the regime may be used then.
func (r *regime) close() error {
	if r == nil || r.pages == nil {
		return nil
	}
	pages := r.pages
	r.enforceRegime, r.pages = nil, nil
	return unix.Munmap(pages)
}

// next makes everything that was decided be decided again.
func (r *regime) next() { atomic.AddUint64(&r.Generation, 1) }

// alive says that the daemon lives.
func (r *regime) alive() { atomic.StoreUint64(&r.Alive, boottime()) }

func boottime() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano())
}

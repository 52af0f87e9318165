package role

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is used of io_uring: include/uapi/linux/io_uring.h.
const (
	ringOpConnect   = 16
	ringOpSend      = 26
	ringOffSQRing   = 0
	ringOffCQRing   = 0x8000000
	ringOffSQEs     = 0x10000000
	ringEnterGetEvs = 1
	sqeSize         = 64
)

type ringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// ring is an io_uring of which one operation at a time is asked.
type ring struct {
	fd             int
	p              ringParams
	sq, cq, sqes   []byte
	sqHead, sqTail *uint32
	cqHead, cqTail *uint32
}

func newRing() (*ring, error) {
	r := &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&r.p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring: %w", errno)
	}
	r.fd = int(fd)
	for _, m := range []struct {
		into   *[]byte
		offset int64
		size   uint32
	}{
		{&r.sq, ringOffSQRing, r.p.sq.array + r.p.sqEntries*4},
		{&r.cq, ringOffCQRing, r.p.cq.cqes + r.p.cqEntries*16},
		{&r.sqes, ringOffSQEs, r.p.sqEntries * sqeSize},
	} {
		b, err := unix.Mmap(r.fd, m.offset, int(m.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			unix.Close(r.fd)
			return nil, fmt.Errorf("io_uring: %w", err)
		}
		*m.into = b
	}
	word := func(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
	r.sqHead, r.sqTail = word(r.sq, r.p.sq.head), word(r.sq, r.p.sq.tail)
	r.cqHead, r.cqTail = word(r.cq, r.p.cq.head), word(r.cq, r.p.cq.tail)
	return r, nil
}

func (r *ring) close() {
	for _, b := range [][]byte{r.sq, r.cq, r.sqes} {
		unix.Munmap(b)
	}
	unix.Close(r.fd)
}

// do asks for one operation and waits for its result.
func (r *ring) do(op byte, fd int, addr unsafe.Pointer, length uint32, offset uint64) error {
	tail := atomic.LoadUint32(r.sqTail)
	slot := tail & (r.p.sqEntries - 1)
	e := r.sqes[slot*sqeSize : (slot+1)*sqeSize]
	clear(e)
	e[0] = op
	*(*int32)(unsafe.Pointer(&e[4])) = int32(fd)
	*(*uint64)(unsafe.Pointer(&e[8])) = offset
	*(*uint64)(unsafe.Pointer(&e[16])) = uint64(uintptr(addr))
	*(*uint32)(unsafe.Pointer(&e[24])) = length
	*(*uint32)(unsafe.Pointer(&r.sq[r.p.sq.array+slot*4])) = slot
	atomic.StoreUint32(r.sqTail, tail+1)
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 1, 1, ringEnterGetEvs, 0, 0); errno != 0 {
		return fmt.Errorf("io_uring: %w", errno)
	}
	runtime.KeepAlive(addr)
	head := atomic.LoadUint32(r.cqHead)
	if head == atomic.LoadUint32(r.cqTail) {
		return fmt.Errorf("io_uring: nothing was completed")
	}
	at := r.p.cq.cqes + head&(r.p.cqEntries-1)*16
	result := *(*int32)(unsafe.Pointer(&r.cq[at+8]))
	atomic.StoreUint32(r.cqHead, head+1)
	if result < 0 {
		return unix.Errno(-result)
	}
	return nil
}

// ringStream connects and sends without the system calls for that.
func ringStream(to, _ netip.AddrPort) error {
	r, err := newRing()
	if err != nil {
		return err
	}
	defer r.close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := patient(fd); err != nil {
		return err
	}
	sa := rawInet4(to)
	if err := r.do(ringOpConnect, fd, unsafe.Pointer(&sa), 0, unix.SizeofSockaddrInet4); err != nil {
		return err
	}
	payload := make([]byte, 64)
	if err := r.do(ringOpSend, fd, unsafe.Pointer(&payload[0]), 64, 0); err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 700_000}); err != nil {
		return err
	}
	_, err = unix.Read(fd, payload)
	return err
}

func rawInet4(a netip.AddrPort) (sa unix.RawSockaddrInet4) {
	sa.Family, sa.Addr = unix.AF_INET, a.Addr().As4()
	p := (*[2]byte)(unsafe.Pointer(&sa.Port))
	p[0], p[1] = byte(a.Port()>>8), byte(a.Port())
	return sa
}

func rawConnect(fd int, sa *unix.RawSockaddr) error {
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(sa)), unix.SizeofSockaddrInet4); errno != 0 {
		return errno
	}
	return nil
}

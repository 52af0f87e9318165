package role

import (
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stalledRead reads into memory that is not there for so long. The kernel copies with
// the socket locked: what arrives meanwhile waits in its backlog.
func stalledRead(c *net.TCPConn, d time.Duration) (n int, err error) {
	page, err := newMissingPage()
	if err != nil {
		return 0, fmt.Errorf("stalled read: %w", err)
	}
	defer page.close()
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	timer := time.AfterFunc(d, page.appear)
	defer timer.Stop()
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, failed = unix.Read(int(fd), page.memory)
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	return n, err
}

// missingPage is memory whose first use waits until it appears, see userfaultfd(2).
type missingPage struct {
	fd     int
	memory []byte
}

// CanStall tells whether this kernel lets a reading be stalled; else why not.
func CanStall() error {
	p, err := newMissingPage()
	if err == nil {
		p.close()
	}
	return err
}

const (
	uffdAPI      = 0xc018aa3f
	uffdRegister = 0xc020aa00
	uffdZeroPage = 0xc020aa04
)

func newMissingPage() (*missingPage, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("userfaultfd: %w", errno)
	}
	p := &missingPage{fd: int(fd)}
	memory, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("mmap: %w", err)
	}
	p.memory = memory
	const version, missing = 0xaa, 1
	if err := p.control(uffdAPI, [4]uint64{version}); err != nil {
		p.close()
		return nil, err
	}
	if err := p.control(uffdRegister, [4]uint64{p.address(), uint64(len(memory)), missing}); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *missingPage) address() uint64 { return uint64(uintptr(unsafe.Pointer(&p.memory[0]))) }

func (p *missingPage) control(request uintptr, argument [4]uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), request, uintptr(unsafe.Pointer(&argument)))
	runtime.KeepAlive(&argument)
	if errno != 0 {
		return fmt.Errorf("userfaultfd: %w", errno)
	}
	return nil
}

// appear ends the wait.
func (p *missingPage) appear() {
	_ = p.control(uffdZeroPage, [4]uint64{p.address(), uint64(len(p.memory))})
}

func (p *missingPage) close() {
	if p.memory != nil {
		_ = unix.Munmap(p.memory)
	}
	_ = unix.Close(p.fd)
}

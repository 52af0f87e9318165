package role

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// XDPSocket is an AF_XDP socket that copies frames to eth0 of the namespace that it
// was opened in. It belongs to whoever opens it.
type XDPSocket struct {
	fd     int
	memory []byte
	ring   []byte
	at     unix.XDPRingOffset
	sent   uint32
}

// Sizes of an XDPSocket, in frames and bytes.
const (
	xdpFrames    = 16
	xdpFrameSize = 4096
)

// OpenXDP opens a socket that can only send.
func OpenXDP() (*XDPSocket, error) {
	device, err := net.InterfaceByName("eth0")
	if err != nil {
		return nil, err
	}
	s := &XDPSocket{}
	if s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	if err := s.open(device.Index); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *XDPSocket) open(device int) (err error) {
	if s.memory, err = unix.Mmap(-1, 0, xdpFrames*xdpFrameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
		return err
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&s.memory[0]))), Len: uint64(len(s.memory)), Size: xdpFrameSize}
	text := unsafe.String((*byte)(unsafe.Pointer(&reg)), unsafe.Sizeof(reg))
	if err := unix.SetsockoptString(s.fd, unix.SOL_XDP, unix.XDP_UMEM_REG, text); err != nil {
		return err
	}
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, ring, xdpFrames); err != nil {
			return err
		}
	}
	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return fmt.Errorf("XDP_MMAP_OFFSETS: %w", errno)
	}
	s.at = offsets.Tx
	length := int(s.at.Desc) + xdpFrames*int(unsafe.Sizeof(unix.XDPDesc{}))
	if s.ring, err = unix.Mmap(s.fd, unix.XDP_PGOFF_TX_RING, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	return unix.Bind(s.fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(device)})
}

// SendTo sends a UDP datagram from eth0's address, in a frame for every station,
// and tells what the call to the kernel says: not whether anything left.
func (s *XDPSocket) SendTo(to netip.AddrPort) error {
	if s.sent == xdpFrames {
		return fmt.Errorf("an XDPSocket sends %d frames and no more", xdpFrames)
	}
	frame := ethernet(to, ipUDP(to, 0, 0)).bytes
	at := s.sent * xdpFrameSize
	copy(s.memory[at:], frame)
	slot := unsafe.Pointer(&s.ring[s.at.Desc+uint64(s.sent)*uint64(unsafe.Sizeof(unix.XDPDesc{}))])
	*(*unix.XDPDesc)(slot) = unix.XDPDesc{Addr: uint64(at), Len: uint32(len(frame))}
	s.sent++
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&s.ring[s.at.Producer])), s.sent)
	_, err := unix.SendmsgN(s.fd, nil, nil, nil, unix.MSG_DONTWAIT)
	runtime.KeepAlive(s)
	return err
}

// Close ends the socket.
func (s *XDPSocket) Close() {
	if s.ring != nil {
		_ = unix.Munmap(s.ring)
	}
	_ = unix.Close(s.fd)
	if s.memory != nil {
		_ = unix.Munmap(s.memory)
	}
}

package sever

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/enforce"
)

// Numbers of linux/sock_diag.h and linux/inet_diag.h.
const (
	sockDestroy = 21
	anyState    = 0xffffffff
	requestLen  = 56 // struct inet_diag_req_v2
)

// request is a SOCK_DESTROY of one socket. The cookie makes sure that it is the one
// that was meant, whoever has its ports by now.
func request(c enforce.Connection) ([]byte, error) {
	local, remote := c.Local.Addr().Unmap(), c.Remote.Addr().Unmap()
	if !local.IsValid() || !remote.IsValid() || local.Is4() != remote.Is4() {
		return nil, errors.New("its addresses are not known")
	}
	b := make([]byte, 0, unix.NLMSG_HDRLEN+requestLen)
	b = binary.NativeEndian.AppendUint32(b, uint32(cap(b)))
	b = binary.NativeEndian.AppendUint16(b, sockDestroy)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = binary.NativeEndian.AppendUint32(b, 1) // sequence
	b = binary.NativeEndian.AppendUint32(b, 0) // port
	family := byte(unix.AF_INET6)
	if local.Is4() {
		family = unix.AF_INET
	}
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, anyState)
	b = binary.BigEndian.AppendUint16(b, c.Local.Port())
	b = binary.BigEndian.AppendUint16(b, c.Remote.Port())
	b = appendAddr(b, local)
	b = appendAddr(b, remote)
	b = binary.NativeEndian.AppendUint32(b, 0) // interface
	b = binary.NativeEndian.AppendUint32(b, uint32(c.Cookie))
	return binary.NativeEndian.AppendUint32(b, uint32(c.Cookie>>32)), nil
}

func appendAddr(b []byte, a netip.Addr) []byte {
	var room [16]byte
	copy(room[:], a.AsSlice())
	return append(b, room[:]...)
}

// destroy asks and reads the answer.
func destroy(fd int, c enforce.Connection) error {
	msg, err := request(c)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	return acknowledged(answer[:n])
}

// acknowledged reads an NLMSG_ERROR, which 0 makes an acknowledgement.
func acknowledged(b []byte) error {
	if len(b) < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel gave no answer that is known")
	}
	if code := int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

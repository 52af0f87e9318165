package sever

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/enforce"
)

// pair is a connection over loopback and what names its client's end.
func pair(t *testing.T, address string) (client, server *net.TCPConn, c enforce.Connection) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("no such address here:", err)
	}
	defer l.Close()
	accepted := make(chan *net.TCPConn, 1)
	go func() {
		s, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- s.(*net.TCPConn)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client = conn.(*net.TCPConn)
	server = <-accepted
	t.Cleanup(func() { client.Close(); server.Close() })
	raw, err := client.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var cookie uint64
	if err := raw.Control(func(fd uintptr) { cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); err != nil {
		t.Fatal(err)
	}
	return client, server, enforce.Connection{
		NetNS: inode("/proc/self/ns/net"), PID: uint32(os.Getpid()), Cookie: cookie,
		Local: client.LocalAddr().(*net.TCPAddr).AddrPort(), Remote: client.RemoteAddr().(*net.TCPAddr).AddrPort(),
	}
}

func TestEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		client, server, c := pair(t, address)
		other, _, _ := pair(t, address)
		wrong := c
		wrong.Cookie++
		if errs := End([]enforce.Connection{wrong}); len(errs) != 0 {
			t.Errorf("%s: a socket that is gone is an error: %v", address, errs)
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatalf("%s: the wrong socket was ended: %v", address, err)
		}
		errs := End([]enforce.Connection{c})
		if len(errs) == 1 && errors.Is(errs[0], unix.EOPNOTSUPP) {
			t.Skip("this kernel has no CONFIG_INET_DIAG_DESTROY")
		}
		if len(errs) != 0 {
			t.Fatalf("%s: %v", address, errs)
		}
		if _, err := client.Write([]byte("x")); err == nil {
			t.Errorf("%s: the connection goes on", address)
		}
		if _, err := io.ReadAll(server); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: the other end sees %v", address, err)
		}
		if _, err := other.Write([]byte("x")); err != nil {
			t.Errorf("%s: another connection was ended: %v", address, err)
		}
	}
}

func TestEndSaysWhatStays(t *testing.T) {
	errs := End([]enforce.Connection{{NetNS: 1, Local: netip.MustParseAddrPort("127.0.0.1:1"), Remote: netip.MustParseAddrPort("127.0.0.1:2")}})
	if len(errs) != 1 {
		t.Errorf("a namespace that nobody is in: %v", errs)
	}
	if _, err := request(enforce.Connection{Local: netip.MustParseAddrPort("127.0.0.1:1"), Remote: netip.MustParseAddrPort("[::1]:2")}); err == nil {
		t.Error("ends of two families are asked for")
	}
}

func TestAcknowledged(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 10), make([]byte, 64)} {
		if acknowledged(b) == nil {
			t.Errorf("%v is an acknowledgement", b)
		}
	}
}

package enforcer

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// An answer's life ends new connections only: those that are, and those that a
// new plan judges again, live on.
func TestConnectionsOutliveTheirNames(t *testing.T) {
	w := newDirectory(t, "a.test")
	server := w.hosts["server"]
	stream := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	again := func() string {
		return w.reach("client", role.Spec{Role: role.TCPClient, Address: stream.On(server.V4)})
	}
	w.ask("client", "resolver", w.hosts["resolver"].V4, datagrams(pack(t, question(1, "a.test.", dnsmessage.TypeA))),
		[][]role.Datagram{datagrams(pack(t, answer(1, "a.test.", addr("a.test.", 60, server.V4.String()))))})
	c := w.connect("client", "server")
	if !acknowledged(t, c) {
		t.Fatal("a name's address does not answer")
	}
	begun := boottime() / uint64(time.Second)
	w.until(uint32(begun))
	for boottime()/uint64(time.Second) <= begun {
		time.Sleep(10 * time.Millisecond)
	}
	if got := again(); got != "denied" {
		t.Errorf("a new connection after the end: %q", got)
	}
	if !acknowledged(t, c) {
		t.Error("cut at the end")
	}
	w.enforce()
	if !acknowledged(t, c) {
		t.Error("cut under a new plan")
	}
	if got := again(); got != "denied" {
		t.Errorf("a new connection under the new plan: %q", got)
	}
	w.known("client") // is forgotten
	w.enforce()
	if acknowledged(t, c) {
		t.Error("the name is forgotten, and the connection lives")
	}
}

// connect gives the server's end of a connection between two hosts.
func (w *directory) connect(from, to string) *net.TCPConn {
	w.t.Helper()
	var ln net.Listener
	if err := w.hosts[to].Run(func() (err error) {
		ln, err = net.Listen("tcp4", net.JoinHostPort(w.hosts[to].V4.String(), "0"))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan *net.TCPConn, 1)
	go func() {
		defer close(conns)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if _, err := io.Copy(c, io.LimitReader(c, 64)); err == nil {
			conns <- c.(*net.TCPConn)
		}
	}()
	w.hosts[from].Play(role.Spec{Role: role.TCPClient, Address: ln.Addr().String(), Wait: true})
	c := <-conns
	if c == nil {
		w.t.Fatal("no connection")
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// acknowledged tells whether the peer's kernel takes a byte.
func acknowledged(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	if _, err := c.Write([]byte{0}); err != nil {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
		unsent := 0
		if err := raw.Control(func(fd uintptr) { unsent, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); err != nil {
			t.Fatal(err)
		}
		if unsent == 0 {
			return true
		}
	}
	return false
}

// until makes all names that are known end with a second of CLOCK_BOOTTIME.
func (w *directory) until(second uint32) {
	w.t.Helper()
	var k enforceKnownKey
	var v enforceKnownNames
	it := w.maps["known"].Iterate()
	for it.Next(&k, &v) {
		for i, slot := range v.Slots {
			if slot != 0 {
				v.Slots[i] = slot>>32<<32 | uint64(second)
			}
		}
		if err := w.maps["known"].Put(&k, &v); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := it.Err(); err != nil {
		w.t.Fatal(err)
	}
}

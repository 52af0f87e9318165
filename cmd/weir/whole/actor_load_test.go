package whole

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// timed is a load's own account.
type timed struct {
	Answered  int
	Latencies []time.Duration // of each request, without order
}

// load is a client that makes an exact number of requests as fast as it can, each
// connection's one after the other: ADDRESS PATH COUNT CONNECTIONS. A # in the
// path becomes the request's number, a % one of a thousand names. It uses blocking sockets, so that the times
// which it takes are the kernel's and not those of a scheduler.
func loadActor(args []string) error {
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	count, connections := number(args[2]), number(args[3])
	var next atomic.Int64
	accounts := make([]timed, connections)
	errs := make([]error, connections)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			errs[i] = lane(to, args[1], func() (int, bool) { n := int(next.Add(1)); return n, n <= count }, &accounts[i])
		})
	}
	wg.Wait()
	var sum timed
	for _, a := range accounts {
		sum.Answered += a.Answered
		sum.Latencies = append(sum.Latencies, a.Latencies...)
	}
	return errors.Join(errors.Join(errs...), json.NewEncoder(os.Stdout).Encode(sum))
}

// lane is one connection's requests.
func lane(to netip.AddrPort, path string, take func() (int, bool), a *timed) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	request, answer := make([]byte, 0, 512), make([]byte, 64<<10)
	for n, more := take(); more; n, more = take() {
		request = append(request[:0], "GET "...)
		for i := range len(path) {
			switch path[i] {
			case '#':
				request = strconv.AppendInt(request, int64(n), 10)
			case '%':
				request = append(request, 'a'+byte(n%10), 'k'+byte(n/10%10), 'a'+byte(n/100%10))
			default:
				request = append(request, path[i])
			}
		}
		request = append(request, " HTTP/1.1\r\nHost: load\r\n\r\n"...)
		begun := time.Now()
		if _, err := unix.Write(fd, request); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := readAnswer(fd, answer); err != nil {
			return err
		}
		a.Latencies = append(a.Latencies, time.Since(begun))
		a.Answered++
	}
	return nil
}

// readAnswer reads one answer that says how long it is and fits into b.
func readAnswer(fd int, b []byte) error {
	have, want := 0, 0
	for want == 0 || have < want {
		n, err := unix.Read(fd, b[have:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return fmt.Errorf("read %d: %w", n, err)
		}
		have += n
		head, _, whole := strings.Cut(string(b[:have]), "\r\n\r\n")
		if want > 0 || !whole {
			continue
		}
		_, length, ok := strings.Cut(head, "\r\nContent-Length: ")
		if !ok {
			return fmt.Errorf("an answer without its length: %q", head)
		}
		length, _, _ = strings.Cut(length, "\r\n")
		body, err := strconv.Atoi(length)
		if err != nil {
			return err
		}
		want = len(head) + 4 + body
	}
	return nil
}

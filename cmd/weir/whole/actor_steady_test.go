package whole

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// steadied is what a steady load got done.
type steadied struct{ Requests, Connections int }

const (
	steadyLanes = 16                     // kept connections
	steadyBeat  = 10 * time.Millisecond  // a lane does at once what is due in it
	steadyOpen  = 100 * time.Millisecond // that a connection without a request lives
)

// steady is a client that makes so many requests a second on kept connections, and
// opens so many others: ADDRESS REQUESTS CONNECTIONS SECONDS.
func steady(args []string) error {
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	requests, opened, whole := number(args[1]), number(args[2]), time.Duration(number(args[3]))*time.Second
	begun := time.Now()
	var wg sync.WaitGroup
	var answered atomic.Int64
	errs := make([]error, steadyLanes+1)
	for i := range steadyLanes {
		wg.Go(func() {
			var a timed
			errs[i] = lane(to, "/hello", paced(begun, whole, requests/steadyLanes), &a)
			answered.Add(int64(a.Answered))
		})
	}
	var made int
	wg.Go(func() { made, errs[steadyLanes] = openings(to, paced(begun, whole, opened)) })
	wg.Wait()
	did := steadied{Requests: int(answered.Load()), Connections: made}
	return errors.Join(errors.Join(errs...), json.NewEncoder(os.Stdout).Encode(did))
}

// paced lets somebody go on so often a second, some at once, until the time is over.
func paced(begun time.Time, whole time.Duration, rate int) (take func() (n int, more bool)) {
	n := 0
	return func() (int, bool) {
		due := (time.Duration(n) * time.Second / time.Duration(rate)).Truncate(steadyBeat)
		time.Sleep(time.Until(begun.Add(due)))
		n++
		return n, time.Since(begun) < whole
	}
}

// openings are connections on which nothing is said.
func openings(to netip.AddrPort, take func() (int, bool)) (made int, err error) {
	type one struct {
		fd int
		at time.Time
	}
	var open []one
	shut := func(before time.Time) {
		for len(open) > 0 && open[0].at.Before(before) {
			unix.Close(open[0].fd)
			open = open[1:]
		}
	}
	defer func() { shut(time.Now().Add(time.Hour)) }()
	for _, more := take(); more; _, more = take() {
		shut(time.Now().Add(-steadyOpen))
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return made, err
		}
		open = append(open, one{fd, time.Now()})
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
			return made, err
		}
		made++
	}
	return made, nil
}

package role

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// account collects a report from many goroutines.
type account struct {
	detail bool

	mu     sync.Mutex
	report Report
}

// add counts one connection; err is what ended it, nil for a good end. A
// connection that was never established (up is false) counts only as failed.
func (a *account) add(c Conn, messages uint64, up bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if up {
		a.report.Conns++
	}
	a.report.Sent += c.Sent
	a.report.Received += c.Received
	a.report.Messages += messages
	if err != nil {
		c.Failure = reason(err)
		if a.report.Failed == nil {
			a.report.Failed = make(map[string]int)
		}
		a.report.Failed[c.Failure]++
	}
	if a.detail {
		a.report.Each = append(a.report.Each, c)
	}
}

func (a *account) result() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.report
}

// reason names the few ends that tests tell apart.
func reason(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EINPROGRESS), isTimeout(err):
		return "timeout"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "denied"
	case errors.Is(err, syscall.ENOBUFS):
		return "dropped"
	}
	return "other"
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// addrPort turns a net.Addr of TCP or UDP into its value form, without the
// IPv4-in-IPv6 disguise of dual-stack listeners.
func addrPort(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		p = a.AddrPort()
	case *net.UDPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

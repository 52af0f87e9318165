package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab/role"
)

// patience bounds the wait for a role's ready and report lines. It is long
// because a machine under test may be busy; nothing waits for it in a good run.
const patience = time.Minute

// Player is a running role.
type Player struct {
	// Addr is where a server listens, with the host's own address in place of
	// an unspecified one. Zero for clients.
	Addr netip.AddrPort
	// PID is the role's process as the test sees it; zero in a container.
	PID int

	t     testing.TB
	what  string
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan []byte
	said  buffer
	ended bool
}

// Play starts a role on the host and returns when it is ready: a server
// listens, a client that was told to wait has had its exchange. It ends with
// the test, or by Stop. Files are its file descriptors from 3 on.
func (h *Host) Play(spec role.Spec, files ...*os.File) *Player {
	t := h.lab.t
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatalf("role on %s: %v", h.Name, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("role on %s: own binary: %v", h.Name, err)
	}
	cmd := h.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	cmd.ExtraFiles = files
	p := play(t, fmt.Sprintf("%s on %s", spec.Role, h.Name), cmd.Cmd, cmd.Start)
	p.PID = cmd.Process.Pid
	p.locate(h.V4, h.V6)
	return p
}

// Account plays a client to its end and returns its report.
func (h *Host) Account(spec role.Spec, files ...*os.File) role.Report {
	h.lab.t.Helper()
	return h.Play(spec, files...).Stop()
}

// Listen is the address for a server on a host: every address, IPv4 and IPv6,
// on the given port, where 0 is a free one.
func Listen(port int) string { return net.JoinHostPort("", strconv.Itoa(port)) }

// play starts cmd and waits for its ready line.
func play(t testing.TB, what string, cmd *exec.Cmd, start func() error) *Player {
	t.Helper()
	p := &Player{t: t, what: what, cmd: cmd, lines: make(chan []byte, 2)}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	p.stdin = stdin
	// Not StdoutPipe: its reader would have to end before Wait may be called.
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	cmd.Stdout, cmd.Stderr = in, &p.said
	err = start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		t.Fatalf("%s: %v", what, err)
	}
	go p.read(out)
	t.Cleanup(func() {
		if !p.ended {
			_ = p.end()
		}
	})
	var ready role.Ready
	p.line("ready", &ready)
	if ready.Address != "" {
		if p.Addr, err = netip.ParseAddrPort(ready.Address); err != nil {
			t.Fatalf("%s: ready line: %v", what, err)
		}
	}
	return p
}

// read hands out the two lines that a role prints.
func (p *Player) read(out io.ReadCloser) {
	defer out.Close()
	defer close(p.lines)
	lines := bufio.NewReader(out)
	for range cap(p.lines) {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		p.lines <- line
	}
}

// line waits for the role's next line.
func (p *Player) line(name string, into any) {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			err := p.end()
			p.t.Fatalf("%s: ended without its %s line: %v: %s", p.what, name, err, p.said.b)
		}
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(into); err != nil {
			p.t.Fatalf("%s: %s line %q: %v", p.what, name, line, err)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s: no %s line after %v", p.what, name, patience)
	}
}

// Stop ends the role in good order and returns its account. A client finishes
// what it was told to do first.
func (p *Player) Stop() role.Report {
	p.t.Helper()
	_ = p.stdin.Close()
	var r role.Report
	p.line("report", &r)
	if err := p.end(); err != nil {
		p.t.Errorf("%s: %v: %s", p.what, err, p.said.b)
	}
	return r
}

// Kill ends the role as SIGKILL does: its kernel closes the sockets.
func (p *Player) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.end()
}

// end waits for the process, after closing its input, and kills it where that
// takes too long.
func (p *Player) end() error {
	p.ended = true
	_ = p.stdin.Close()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.cmd.Wait()
}

// locate puts the host's address in the place of an unspecified one.
func (p *Player) locate(v4, v6 netip.Addr) {
	a := p.Addr.Addr()
	if !a.IsUnspecified() {
		return
	}
	own := v4
	if a.Is6() && !v4.IsValid() {
		own = v6
	}
	p.Addr = netip.AddrPortFrom(own, p.Addr.Port())
}

// On is the server's address on another of its host's addresses.
func (p *Player) On(a netip.Addr) string {
	return netip.AddrPortFrom(a, p.Addr.Port()).String()
}

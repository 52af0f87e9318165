package ui

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pane is a shell in a tmux server of the test's own.
type pane struct {
	t      *testing.T
	socket string
}

func newPane(t *testing.T, w, h int) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed: the interface is not tried on a real terminal")
	}
	// A socket's path is short by law: t.TempDir may be too long.
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, filepath.Join(dir, "s")}
	t.Cleanup(func() { p.tmux("kill-server"); os.RemoveAll(dir) })
	p.tmux("-f", os.DevNull, "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "env", "PS1=$ ", "LC_ALL=C.UTF-8", "sh")
	return p
}

func (p *pane) tmux(args ...string) string {
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	if err != nil && args[0] != "kill-server" {
		p.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

func (p *pane) keys(keys ...string) { p.tmux(append([]string{"send-keys"}, keys...)...) }

func (p *pane) capture() string { return p.tmux("capture-pane", "-p") }

// sees waits until the screen holds a text.
func (p *pane) sees(want string) string {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := p.capture()
		if strings.Contains(got, want) {
			return got
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%q does not appear:\n%s", want, got)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// start runs the interface from the shell, between two readings of the tty's
// settings.
func (p *pane) start(mode, env string) {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.keys("-l", fmt.Sprintf("stty -g > %[1]s.a; env %[2]s=%[3]s %[4]s %[5]s; echo exit=$?; stty -g > %[1]s.b; cmp %[1]s.a %[1]s.b && echo tty=same",
		p.socket, smokeEnv, mode, env, exe))
	p.keys("Enter")
}

func (p *pane) restored(exit string) {
	p.t.Helper()
	p.sees("exit=" + exit + "\n")
	p.sees("tty=same\n")
	if got := strings.TrimSpace(p.tmux("display-message", "-p", "#{alternate_on}")); got != "0" {
		p.t.Error("the alternate screen is left on")
	}
}

func TestTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the interface is not tried on a real terminal")
	}
	for name, env := range map[string]string{"colour": "TERM=xterm-256color", "no colour": "TERM=xterm-256color NO_COLOR=1", "vt100": "TERM=vt100"} {
		t.Run(name, func(t *testing.T) {
			p := newPane(t, 80, 24)
			p.start("run", env)
			p.sees("shop-orders-1")
			p.tmux("resize-window", "-x", "120", "-y", "30")
			p.sees("NAMESPACE")
			p.keys("?")
			p.sees("draw the whole screen anew")
			p.keys("q", "3", "/")
			p.sees("path:/cart")
			p.keys("-l", "status:5xx")
			p.sees("1 of 7")
			p.keys("Enter", "Enter")
			p.sees("1,204 more like this")
			p.keys("q", "2", "/")
			p.sees("port:443")
			p.keys("-l", "redis")
			p.sees("1 of 10")
			p.keys("Enter", "Enter")
			p.sees("172.18.0.4:6379")
			p.tmux("resize-window", "-x", "50", "-y", "10")
			p.sees("terminal too small")
			p.tmux("resize-window", "-x", "80", "-y", "24")
			p.sees("smoothed RTT")
			p.keys("q", "q")
			p.restored("0")
		})
	}
}

// However it ends, the shell has its terminal back.
func TestTerminalIsGivenBack(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the interface is not tried on a real terminal")
	}
	for name, c := range map[string]struct{ mode, wrap, exit string }{
		"panic elsewhere": {"panic", "GOTRACEBACK=none", "2"},
		"SIGTERM":         {"run", "timeout --foreground -s TERM 1", "124"},
		"SIGHUP":          {"run", "timeout --foreground -s HUP 1", "124"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPane(t, 80, 24)
			p.start(c.mode, c.wrap+" ")
			p.restored(c.exit)
		})
	}
	t.Run("dumb", func(t *testing.T) {
		p := newPane(t, 80, 24)
		p.start("run", "TERM=dumb")
		p.sees("no terminal to draw on")
		p.restored("3")
	})
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed79351815/weir/bpf/lab"
)

// TestPrivileged runs testdata/privileged: the daemon and the captures.
func TestPrivileged(t *testing.T) {
	lab.RequireRoot(t)
	testscript.Run(t, testscript.Params{
		Dir:      filepath.Join("testdata", "privileged"),
		Deadline: time.Now().Add(2 * time.Minute),
		Setup:    isolate,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": exitsWith, "connect": connect, "request": request, "await": await, "scrape": scrape, "captures": captures, "written": written, "terminate": terminate,
		},
	})
}

// connect is the script command "connect N": N connections to a listener of the
// test's, whose port becomes $PORT, and one to a port where nobody listens,
// $CLOSED.
func connect(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	if _, err := fmt.Sscan(strings.Join(args, " "), &n); err != nil {
		ts.Fatalf("usage: connect N")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	go serveEcho(l)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	closed.Close()
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		ts.Check(err)
		fmt.Fprintln(c, "hello")
		_, err = io.CopyN(io.Discard, c, 6)
		ts.Check(err)
		c.Close()
	}
	if c, err := net.Dial("tcp", closed.Addr().String()); err == nil {
		c.Close()
		ts.Fatalf("somebody listens at %s", closed.Addr())
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	ts.Setenv("PORT", port)
	_, port, _ = net.SplitHostPort(closed.Addr().String())
	ts.Setenv("CLOSED", port)
}

// request is the script command "request N PATH": N HTTP requests to a server of the
// test's, on one connection.
func request(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: request N PATH")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	for range n {
		resp, err := srv.Client().Get(srv.URL + args[1])
		ts.Check(err)
		_, err = io.Copy(io.Discard, resp.Body)
		ts.Check(err)
		resp.Body.Close()
	}
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // the client counts what came back
		}()
	}
}

// await is the script command "await TIME stdout=TEXT ARGS…": weir, again and
// again until its output holds the text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: await TIME stdout=TEXT weir's arguments…")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	want, ok := strings.CutPrefix(args[1], "stdout=")
	if !ok {
		ts.Fatalf("second argument must be stdout=TEXT")
	}
	for end := time.Now().Add(limit); ; {
		err := ts.Exec("weir", args[2:]...)
		if err == nil && strings.Contains(ts.ReadFile("stdout"), want) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("weir %v: no %q within %s (%v)", args[2:], want, limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// scrape is the script command "scrape FILE": the daemon's metrics.
func scrape(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("weir", "status", "-o", "json"))
	var s struct{ Listen struct{ Metrics string } }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &s))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		resp, err := http.Get("http://" + s.Listen.Metrics + path)
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s", path, resp.Status)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), body, 0o600))
	}
}

// captures is the script command "captures N": it waits until N processes that
// this script started have their ring buffers, the last thing that Open makes.
func captures(ts *testscript.TestScript, _ bool, args []string) {
	var want int
	if _, err := fmt.Sscan(strings.Join(args, " "), &want); err != nil {
		ts.Fatalf("usage: captures N")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		n := 0
		for _, c := range ts.BackgroundCmds() {
			if c.Process != nil && hasRing(c.Process.Pid) {
				n++
			}
		}
		if n == want {
			return
		}
	}
	ts.Fatalf("not all of %d captures began", want)
}

// written is the script command "written FILE": waits until there is such a file.
func written(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: written FILE")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s: no such file after 20 s", args[0])
}

func hasRing(pid int) bool {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	polls := 0
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == "anon_inode:[eventpoll]" {
			polls++
		}
	}
	return polls >= 2 // Go's own, and the ring buffer reader's
}

// terminate is the script command "terminate COMMAND": SIGTERM for the weir in the
// background that runs it.
func terminate(ts *testscript.TestScript, _ bool, args []string) {
	for _, c := range ts.BackgroundCmds() {
		if c.ProcessState == nil && len(c.Args) > 1 && c.Args[1] == args[0] {
			if err := c.Process.Signal(syscall.SIGTERM); err == nil {
				return
			}
		}
	}
	ts.Fatalf("no weir %s runs", args[0])
}

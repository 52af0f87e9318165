package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/vishvananda/netlink"

	"github.com/seed79351815/weir/bpf/lab"
)

// buildDemo builds the program as the Makefile does and gives all tests one cache.
func buildDemo(t *testing.T) (binary, cache string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a whole shop: not in short mode")
	}
	lab.RequireRoot(t)
	lab.RequireTool(t, "apt-get")
	lab.RequireTool(t, "dpkg-deb")
	binary = filepath.Join(t.TempDir(), "weir-demo")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cache, err := filepath.Abs(filepath.Join("..", "..", ".cache", "demo"))
	if err != nil {
		t.Fatal(err)
	}
	return binary, cache
}

// running is a started demo.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *syncBuffer
	exit chan error
	url  string
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var openAt = regexp.MustCompile(`the shop is open at (http://\S+)`)

// startDemo starts it and waits until the shop is open. A demo that somebody
// else has open on this host is waited for.
func startDemo(t *testing.T, binary string, args ...string) *running {
	t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for {
		r := &running{t: t, log: &syncBuffer{}, exit: make(chan error, 1)}
		r.cmd = exec.Command(binary, args...)
		r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
		if err := r.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { r.exit <- r.cmd.Wait() }()
		t.Cleanup(func() { r.cmd.Process.Kill() })
		for r.url == "" {
			if m := openAt.FindStringSubmatch(r.log.String()); m != nil {
				r.url = m[1]
				return r
			}
			if time.Now().After(deadline) {
				t.Fatalf("the shop did not open:\n%s", r.log)
			}
			select {
			case err := <-r.exit:
				if !strings.Contains(r.log.String(), "another weir-demo is running") {
					t.Fatalf("ended: %v\n%s", err, r.log)
				}
				time.Sleep(time.Second)
			case <-time.After(50 * time.Millisecond):
				continue
			}
			break
		}
	}
}

// end waits for the demo's end, which must be a good one.
func (r *running) end() {
	r.t.Helper()
	select {
	case err := <-r.exit:
		if err != nil {
			r.t.Errorf("exit: %v\n%s", err, r.log)
		}
	case <-time.After(90 * time.Second):
		r.t.Fatalf("still running:\n%s", r.log)
	}
}

// use does what a customer does, and fails the test where the shop fails him.
func (r *running) use() {
	r.t.Helper()
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/", "", 200},
		{"GET", "/nginx.conf", "", 404},
		{"GET", "/api/products/3", "", 200},
		{"GET", "/api/search?q=rod", "", 200},
		{"POST", "/api/cart/tester/3", "", 200},
		{"POST", "/api/orders", `{"customer":"tester","items":2}`, 201},
	} {
		// The database takes a moment longer than the front to be there.
		var status string
		for range 100 {
			req, err := http.NewRequest(c.method, r.url+c.path, strings.NewReader(c.body))
			if err != nil {
				r.t.Fatal(err)
			}
			resp, err := web.Do(req)
			if err == nil {
				resp.Body.Close()
				if status = resp.Status; resp.StatusCode == c.status {
					status = ""
					break
				}
			} else {
				status = err.Error()
			}
			time.Sleep(100 * time.Millisecond)
		}
		if status != "" {
			r.t.Errorf("%s %s: %s, want %d", c.method, c.path, status, c.status)
		}
	}
}

// leftovers lists everything on this host that a demo made.
func leftovers(t *testing.T) (found []string) {
	t.Helper()
	for _, pattern := range []string{stateDir + "*", filepath.Join(netnsDir, nsName("*"))} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	if root, err := cgroupRoot(); err == nil && fileExists(filepath.Join(root, cgroupName)) {
		found = append(found, "cgroup "+cgroupName)
	}
	if _, err := netlink.LinkByName(hostLink); err == nil {
		found = append(found, "device "+hostLink)
	}
	if d, err := connectDocker(t.Context(), stateDir, ""); err == nil {
		defer d.api.Close()
		found = append(found, dockerLeftovers(t, d.api)...)
	}
	return found
}

func dockerLeftovers(t *testing.T, api *client.Client) (found []string) {
	t.Helper()
	containers, err := api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: own()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		found = append(found, fmt.Sprint("container ", c.Names))
	}
	networks, err := api.NetworkList(t.Context(), client.NetworkListOptions{Filters: own()})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		found = append(found, "network "+n.Name)
	}
	images, err := api.ImageList(t.Context(), client.ImageListOptions{Filters: own()})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		found = append(found, fmt.Sprint("image ", i.RepoTags))
	}
	return found
}

// rules counts the host's own firewall rules; Docker's come and go with the shop.
func rules(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("iptables-save").Output()
	if err != nil {
		return 0 // no iptables on this host: then none of its rules are ours
	}
	return bytes.Count(out, []byte("\n-A "))
}

func requireDocker(t *testing.T) {
	t.Helper()
	lab.RequireTool(t, "docker")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d, err := connectDocker(ctx, stateDir, "")
	if err != nil {
		if os.Getenv(lab.Privileged) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	d.api.Close()
}

// A demo that ends by itself, is interrupted, or killed and started anew
// leaves nothing behind, on either platform.
func TestDemoLeavesNothing(t *testing.T) {
	binary, cache := buildDemo(t)
	for _, p := range []struct {
		name   string
		flags  []string
		before func(t *testing.T)
	}{
		{"docker", nil, requireDocker},
		{"bare", []string{"--no-docker"}, func(*testing.T) {}},
	} {
		t.Run(p.name, func(t *testing.T) {
			p.before(t)
			flags := append([]string{"--no-weir", "--cache", cache}, p.flags...)
			rulesBefore := rules(t)

			r := startDemo(t, binary, flags...)
			r.use()
			if found := leftovers(t); len(found) < 10 {
				t.Errorf("the search for leftovers does not see the running shop: %v", found)
			}
			r.cmd.Process.Signal(syscall.SIGINT)
			r.end()
			if found := leftovers(t); len(found) > 0 {
				t.Errorf("after SIGINT: %v", found)
			}

			r = startDemo(t, binary, flags...)
			r.cmd.Process.Kill()
			<-r.exit
			if len(leftovers(t)) == 0 {
				t.Error("nothing left by a killed demo: the next check proves nothing")
			}
			r = startDemo(t, binary, append(flags, "--duration", "1s")...)
			r.end()
			if found := leftovers(t); len(found) > 0 {
				t.Errorf("after a kill and a new start: %v", found)
			}
			if n := rules(t); n != rulesBefore {
				t.Errorf("%d firewall rules, %d before", n, rulesBefore)
			}
		})
	}
}

// SIGTERM and SIGHUP in the middle of the start end it as well.
func TestDemoEndsInTheMiddleOfItsStart(t *testing.T) {
	binary, cache := buildDemo(t)
	for _, c := range []struct {
		sig   syscall.Signal
		flags []string
	}{
		{syscall.SIGTERM, []string{"--no-docker"}},
		{syscall.SIGHUP, nil},
	} {
		cmd := exec.Command(binary, append([]string{"--no-weir", "--cache", cache}, c.flags...)...)
		var log syncBuffer
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 1200 {
			if strings.Contains(log.String(), "starting") {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		cmd.Process.Signal(c.sig)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", c.sig, err, log.String())
		}
		if found := leftovers(t); len(found) > 0 {
			t.Errorf("after %v: %v", c.sig, found)
		}
	}
}

func TestDemoNeedsRoot(t *testing.T) {
	binary, _ := buildDemo(t)
	dir := filepath.Dir(binary)
	for ; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "run: sudo "+binary) {
		t.Errorf("%v: %s", err, out)
	}
}

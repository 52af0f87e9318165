package whole

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
)

// patience bounds everything that a test waits for: nothing waits that long in a
// good run.
const patience = time.Minute

// dockerHost runs programs of this machine in containers. Their image is a few
// links and empty folders, over which this machine's /usr is mounted: nothing is
// copied, and no registry is asked. Use it from the test's goroutine.
type dockerHost struct {
	t     testing.TB
	cli   string
	image string
	made  int // containers
}

// container is a running container.
type container struct {
	host *dockerHost
	name string
	ip   netip.Addr
	pid  int
	dir  string // mounted as /data
}

var imageNumber atomic.Uint32

// newDockerHost makes the image; it and all containers go when the test ends, and
// those of killed runs with the next lab.NewDocker.
func newDockerHost(t testing.TB) *dockerHost {
	t.Helper()
	lab.NewDocker(t) // skips where that must be, and removes what killed runs left
	h := &dockerHost{t: t, cli: lab.RequireTool(t, "docker")}
	// Named as the lab's, so that it removes this one too.
	h.image = fmt.Sprintf("weir-lab-peer:%d-whole-%d", os.Getpid(), imageNumber.Add(1))
	if _, err := h.docker(rootArchive(t), "import", "-", h.image); err != nil {
		t.Fatalf("make image: %v", err)
	}
	t.Cleanup(func() {
		if _, err := h.docker(nil, "image", "rm", "--force", h.image); err != nil {
			t.Error(err)
		}
	})
	return h
}

// docker runs the client for a minute at most and returns what it printed.
func (h *dockerHost) docker(stdin *bytes.Buffer, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.cli, args...)
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("docker %s: %w: %s", strings.Join(args[:min(len(args), 12)], " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

// hostRun runs a program of this machine, outside of containers.
func hostRun(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	return string(out), err
}

// systemFolders are what programs need of this machine.
var systemFolders = [...]string{"/usr", "/bin", "/sbin", "/lib", "/lib64"}

// rootArchive is a root file system without a program in it.
func rootArchive(t testing.TB) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h *tar.Header, content string) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"usr", "data", "run", "var", "etc"} {
		put(&tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755}, "")
	}
	put(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777}, "")
	for _, d := range systemFolders {
		if to, err := os.Readlink(d); err == nil {
			put(&tar.Header{Typeflag: tar.TypeSymlink, Name: d[1:], Linkname: to, Mode: 0o777}, "")
		}
	}
	for name, content := range map[string]string{
		"etc/passwd":        "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
		"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\nhosts: files dns\n",
	} {
		put(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// start runs a program in a new container, with a folder of the test's as /data,
// which files are written to, and this test binary as /actor.
func (h *dockerHost) start(name string, files map[string]string, argv ...string) *container {
	h.t.Helper()
	return h.startWith(nil, name, files, argv...)
}

// startWith is start with options of docker run.
func (h *dockerHost) startWith(options []string, name string, files map[string]string, argv ...string) *container {
	h.t.Helper()
	h.made++
	c := &container{host: h, name: unique(strconv.Itoa(h.made) + "-" + name), dir: h.t.TempDir()}
	for file, content := range files {
		if err := os.WriteFile(c.dir+"/"+file, []byte(content), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	args := []string{"run", "--detach", "--name", c.name, "--label", "weir.lab=" + strconv.Itoa(os.Getpid()),
		"--volume", c.dir + ":/data", "--volume", self + ":" + actorPath + ":ro"}
	for _, d := range systemFolders {
		if info, err := os.Lstat(d); err == nil && info.IsDir() {
			args = append(args, "--volume", d+":"+d+":ro")
		}
	}
	h.t.Cleanup(func() {
		if _, err := h.docker(nil, "rm", "--force", "--volumes", c.name); err != nil {
			h.t.Error(err)
		}
	})
	args = append(append(args, options...), h.image)
	if _, err := h.docker(nil, append(args, argv...)...); err != nil {
		h.t.Fatal(err)
	}
	c.inspect()
	return c
}

func (c *container) inspect() {
	t := c.host.t
	t.Helper()
	out, err := c.host.docker(nil, "inspect", "--format", `{"ip":"{{.NetworkSettings.IPAddress}}","pid":{{.State.Pid}}}`, c.name)
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		IP  netip.Addr
		PID int
	}
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		t.Fatalf("container %s: %v: %s", c.name, err, c.said())
	}
	c.ip, c.pid = state.IP, state.PID
}

// idle is a container for programs that run in it one after the other.
func (h *dockerHost) idle(name string, files map[string]string) *container {
	h.t.Helper()
	return h.start(name, files, "/usr/bin/sleep", "3600")
}

// run runs a program in the container and returns what it printed. What fails is
// part of some tests: they look at err.
func (c *container) run(argv ...string) (string, error) {
	return c.host.docker(nil, append([]string{"exec", c.name}, argv...)...)
}

// must runs a program that may not fail.
func (c *container) must(argv ...string) string {
	c.host.t.Helper()
	out, err := c.run(argv...)
	if err != nil {
		c.host.t.Fatalf("%v: %s", err, out)
	}
	return out
}

// said is all that the container's own program printed.
func (c *container) said() string {
	var b strings.Builder
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.host.cli, "logs", c.name)
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Run(); err != nil {
		return err.Error()
	}
	return b.String()
}

// file is a file in /data.
func (c *container) file(name string) string {
	c.host.t.Helper()
	b, err := os.ReadFile(c.dir + "/" + name)
	if err != nil {
		c.host.t.Fatal(err)
	}
	return string(b)
}

// at is an address of the container.
func (c *container) at(port int) string {
	return netip.AddrPortFrom(c.ip, uint16(port)).String()
}

// listens waits until something accepts connections. A connection that says
// nothing is no request.
func (c *container) listens(port int) *container {
	t := c.host.t
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.DialTimeout("tcp", c.at(port), time.Second)
		if err == nil {
			conn.Close()
			return c
		}
		if syscall.Kill(c.pid, 0) != nil || time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %d: %v: %s", c.name, port, err, c.said())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab/role"
)

// A container's label and an image's tag name the process that made it, so that
// a later run can remove what a killed one left.
const (
	ownerLabel = "weir.lab"
	imageName  = "weir-lab-peer"
)

// Docker runs roles in real containers. The image holds one static binary and
// is made on the spot: no registry is asked. Use it from the test's goroutine.
type Docker struct {
	t     testing.TB
	cli   string
	image string
}

// Container is a role in a container.
type Container struct {
	*Player
	Name string
	ID   string // 64 hexadecimal digits
	IP   netip.Addr
}

// NewDocker makes the image. It skips where RequireRoot does, and where no
// Docker daemon answers. Image and containers are removed when the test ends.
func NewDocker(t testing.TB) *Docker {
	t.Helper()
	RequireRoot(t)
	d := &Docker{t: t, cli: RequireTool(t, "docker")}
	if _, err := d.docker("version", "--format", "{{.Server.Version}}"); err != nil {
		missing(t, "needs a running Docker daemon: %v", err)
	}
	d.removeStale()
	d.makeImage()
	return d
}

// docker runs the client and returns what it printed.
func (d *Docker) docker(args ...string) (string, error) {
	cmd := exec.Command(d.cli, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// makeImage imports a file system of one file: quicker than a build, and the
// same with every builder.
func (d *Docker) makeImage() {
	d.t.Helper()
	dir := d.t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "peer"),
		"github.com/seed79351815/weir/bpf/lab/peer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("build peer: %v: %s", err, out)
	}
	archive := filepath.Join(dir, "root.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", archive, "peer").CombinedOutput(); err != nil {
		d.t.Fatalf("pack image: %v: %s", err, out)
	}
	d.image = fmt.Sprintf("%s:%d-%d", imageName, os.Getpid(), number.Add(1))
	if _, err := d.docker("import", "--change", `ENTRYPOINT ["/peer"]`, archive, d.image); err != nil {
		d.t.Fatalf("make image: %v", err)
	}
	d.t.Cleanup(func() {
		if _, err := d.docker("image", "rm", "--force", d.image); err != nil {
			d.t.Errorf("lab: %v", err)
		}
	})
}

// Play starts a role in a new container and returns when it is ready. options
// go to docker run: "--label", "a=b", "--publish", "127.0.0.1:0:80".
func (d *Docker) Play(name string, spec role.Spec, options ...string) *Container {
	d.t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		d.t.Fatalf("container %s: %v", name, err)
	}
	args := []string{"run", "--rm", "--interactive", "--name", name, "--label", ownerLabel + "=" + strconv.Itoa(os.Getpid())}
	args = append(append(args, options...), d.image, string(text))
	cmd := exec.Command(d.cli, args...)
	// For a container that is stuck. It runs after the player's own cleanup,
	// which ends one that is not.
	d.t.Cleanup(func() { _, _ = d.docker("rm", "--force", name) })
	c := &Container{Name: name, Player: play(d.t, fmt.Sprintf("%s in container %s", spec.Role, name), cmd, cmd.Start)}
	c.ID, c.IP = d.inspect(name)
	if c.IP.IsValid() {
		c.locate(c.IP, netip.Addr{})
	}
	return c
}

// inspect asks for the container's id and its address on the first network; a
// container in the host's network, or one that has ended already, has none.
func (d *Docker) inspect(name string) (id string, ip netip.Addr) {
	out, err := d.docker("inspect", "--format", "{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", name)
	if err != nil {
		return "", netip.Addr{}
	}
	fields := strings.Fields(out)
	if len(fields) > 1 {
		ip, _ = netip.ParseAddr(fields[1])
	}
	return fields[0], ip
}

// Kill ends the container as `docker kill` does.
func (c *Container) Kill() {
	c.t.Helper()
	if out, err := exec.Command("docker", "kill", c.Name).CombinedOutput(); err != nil {
		c.t.Errorf("kill container %s: %v: %s", c.Name, err, out)
	}
	_ = c.end()
}

// removeStale removes the containers and images of dead processes.
func (d *Docker) removeStale() {
	d.removeOf("container", "--all", "--filter", "label="+ownerLabel, "--format", `{{.ID}} {{.Label "`+ownerLabel+`"}}`)
	d.removeOf("image", "--format", `{{.ID}} {{.Tag}}`, imageName)
}

// removeOf lists things as "id owner" and removes those of dead owners; what
// cannot be removed waits for the next time.
func (d *Docker) removeOf(kind string, list ...string) {
	out, err := d.docker(append([]string{kind, "ls"}, list...)...)
	if err != nil {
		return
	}
	for line := range strings.Lines(out) {
		id, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pid, ok := ownerOf(prefix + owner); ok && !alive(pid) {
			_, _ = d.docker(kind, "rm", "--force", id)
		}
	}
}

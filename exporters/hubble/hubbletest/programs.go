package hubbletest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Env is the environment variable that lets the tests with Hubble's own programs
// run: 1 builds them, a folder has them built already.
const Env = "WEIR_TEST_HUBBLE_CLI"

// Programs are where hubble and hubble-relay are.
type Programs struct {
	CLI, Relay string

	// Start starts a program where it shall run, such as in another network
	// namespace; nil starts it here.
	Start func(*exec.Cmd) error
}

// build makes the programs in a folder that the next tests find them in: go build
// makes again only what has changed.
func build() (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/seed79351815/weir/exporters/hubble").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of Hubble's programs: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("place for Hubble's programs: %w", err)
	}
	dir := filepath.Join(cache, "weir-tests", "hubble")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("place for Hubble's programs: %w", err)
	}
	module := filepath.Join(strings.TrimSpace(string(out)), "testdata", "hubblecli")
	cmd := exec.Command("go", "build", "-C", module, "-o", dir+"/", "github.com/cilium/cilium/hubble", "github.com/cilium/cilium/hubble-relay")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Hubble's programs: %w\n%s", err, out)
	}
	return dir, nil
}

func (p Programs) start(cmd *exec.Cmd) error {
	if p.Start == nil {
		return cmd.Start()
	}
	return p.Start(cmd)
}

// Client is the client of one server: unix:///path or host:port.
func (p Programs) Client(t testing.TB, target string) CLI { return CLI{t, target, p} }

// Need gives the programs. It skips the test where Env does not ask for them.
func Need(t testing.TB) Programs {
	t.Helper()
	dir := os.Getenv(Env)
	switch dir {
	case "":
		t.Skip("builds Hubble's client and relay, which takes minutes: set " + Env + "=1")
	case "1":
		var err error
		if dir, err = build(); err != nil {
			t.Fatal(err)
		}
	}
	return Programs{CLI: filepath.Join(dir, "hubble"), Relay: filepath.Join(dir, "hubble-relay")}
}

// CLI is Hubble's client at work on one server.
type CLI struct {
	T      testing.TB
	Target string

	programs Programs
}

// Command prepares a call, with no setting but those of args.
func (c CLI) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.programs.CLI, args...)
	cmd.Env = append(os.Environ(), "HUBBLE_SERVER="+c.Target, "HUBBLE_CONFIG=/dev/null", "NO_COLOR=1")
	return cmd
}

// Start starts what Command prepared, where the programs run.
func (c CLI) Start(cmd *exec.Cmd) error { return c.programs.start(cmd) }

// Run gives what a call prints, and fails the test where the call fails.
func (c CLI) Run(args ...string) string {
	c.T.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.T.Fatal(err)
	}
	return out
}

func (c CLI) try(args ...string) (string, error) {
	cmd := c.Command(args...)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := c.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return "", fmt.Errorf("hubble %s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	return out.String(), nil
}

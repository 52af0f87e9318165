package lab

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Cmd is a command that starts in a host's network namespace and, from its
// first instruction, in the host's cgroup. Set up the exec.Cmd as usual and use
// Cmd's own Start, Run and Output: those of exec.Cmd would start it in
// the test's place.
type Cmd struct {
	*exec.Cmd
	host *Host
}

// Command prepares a program. It is killed with the lab's cgroup when the test
// ends. Do not set Pdeathsig: the thread that starts the child does not live on.
func (h *Host) Command(name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, args...), host: h}
}

// Start starts the program. It returns when the child runs.
func (c *Cmd) Start() error {
	dir, err := os.Open(c.host.CgroupPath)
	if err != nil {
		return fmt.Errorf("cgroup of %s: %w", c.host.Name, err)
	}
	defer dir.Close()
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.UseCgroupFD = true
	c.SysProcAttr.CgroupFD = int(dir.Fd())
	return c.host.Run(c.Cmd.Start)
}

// Run starts the program and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it printed; what it said on its
// standard error is in the error.
func (c *Cmd) Output() ([]byte, error) {
	var out, said buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return out.b, fmt.Errorf("%s: %w: %s", c.Path, err, said.b)
	}
	return out.b, nil
}

// buffer keeps the first megabyte of what is written to it.
type buffer struct{ b []byte }

func (w *buffer) Write(p []byte) (int, error) {
	const limit = 1 << 20
	w.b = append(w.b, p[:min(len(p), limit-len(w.b))]...)
	return len(p), nil
}

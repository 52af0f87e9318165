package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// withoutTerminal is how long flows are printed where nobody can press a key.
const withoutTerminal = 20 * time.Second

func checkWeir(path string) error {
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("weir: %w; build it with make build, or name it with --weir", err)
	}
	return nil
}

// watch shows the shop with weir: the TUI on a terminal, else lines of flows.
func watch(ctx context.Context, cfg config, say *progress) error {
	if isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		say.hold()
		defer say.release()
		return top(ctx, cfg)
	}
	if cfg.duration == 0 {
		cfg.duration = withoutTerminal
	}
	say.say("no terminal: printing flows for %s", cfg.duration)
	n, err := observe(ctx, cfg, os.Stdout)
	if err != nil {
		return err
	}
	if n == 0 && ctx.Err() == nil {
		return errors.New("weir observe printed no flow")
	}
	say.say("%d lines of flows", n)
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// top runs until the user leaves it, ctx ends, or the time is over.
func top(ctx context.Context, cfg config) error {
	cmd := exec.Command(cfg.weir, "top")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// ^C belongs to the TUI, which leaves in good order; then so does the demo.
	return ignoreStopped(runFor(ctx, cmd, cfg.duration, syscall.SIGTERM))
}

// observe prints flows for the configured time and returns how many lines there were.
func observe(ctx context.Context, cfg config, out io.Writer) (lines int, err error) {
	count := &lineCounter{out: out}
	cmd := exec.Command(cfg.weir, "observe", "--follow")
	cmd.Stdout, cmd.Stderr = count, os.Stderr
	err = ignoreStopped(runFor(ctx, cmd, cfg.duration, os.Interrupt))
	if readerLeft(err) {
		err = nil // it has seen enough
	}
	return count.lines, err
}

// readerLeft says whether err comes of nobody reading the output any more.
func readerLeft(err error) bool {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, ok := exit.Sys().(syscall.WaitStatus)
		return ok && status.Signaled() && status.Signal() == syscall.SIGPIPE
	}
	return errors.Is(err, syscall.EPIPE)
}

// errStopped is the end of a weir that was asked to end.
var errStopped = errors.New("stopped")

// runFor runs cmd and ends it with sig when d is over (0: never) or ctx is done;
// then the error holds errStopped. A cmd that ends by itself gives its own error;
// one that does not end within five seconds of being asked to is killed.
func runFor(ctx context.Context, cmd *exec.Cmd, d time.Duration, sig os.Signal) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("weir: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("weir %s: %w", cmd.Args[1], err)
		}
		return nil
	case <-ctx.Done():
	case <-over:
	}
	_ = cmd.Process.Signal(sig) // it may have ended just now
	select {
	case err := <-ended:
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
			return fmt.Errorf("weir %s, asked to end: %w", cmd.Args[1], err)
		}
		return errStopped
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("weir %s did not end within 5 s of %v", cmd.Args[1], sig)
	}
}

func ignoreStopped(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// lineCounter passes on what it counts.
type lineCounter struct {
	out   io.Writer
	lines int
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.lines += bytes.Count(p[:n], []byte{'\n'})
	return n, err
}

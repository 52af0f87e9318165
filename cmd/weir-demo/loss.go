package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"github.com/vishvananda/netns"
)

// loseInput makes the kernel drop a share of the TCP packets that reach the
// network namespace of pid. The rule lives in that namespace and dies with it.
// iptables comes from the shop's own files if it is there, else from the host.
func loseInput(ctx context.Context, pid int, rootDir string, share float64) error {
	rule := []string{"-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random",
		"--probability", strconv.FormatFloat(share, 'f', 4, 64), "-j", "DROP"}
	var errs error
	for _, tool := range []string{"iptables-nft", "iptables-legacy", "iptables"} {
		cmd := exec.CommandContext(ctx, tool, rule...)
		if rootDir != "" && fileExists(filepath.Join(rootDir, "usr/sbin", tool)) {
			cmd = exec.CommandContext(ctx, "/usr/sbin/"+tool, rule...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: rootDir}
			cmd.Dir = "/"
		}
		var out []byte
		err := inNetns(pid, func() (err error) {
			out, err = cmd.CombinedOutput()
			return err
		})
		if err == nil {
			return nil
		}
		errs = errors.Join(errs, fmt.Errorf("%s: %w: %s", tool, err, lastLine(printable(string(out)))))
	}
	return errs
}

// inNetns calls do on a thread in the network namespace of pid. Processes that
// do starts are in it too; goroutines are not.
func inNetns(pid int, do func() error) error {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return fmt.Errorf("network namespace of %d: %w", pid, err)
	}
	defer ns.Close()
	return atNetns(ns, do)
}

func atNetns(ns netns.NsHandle, do func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, so no other
		// goroutine can come to run in the wrong namespace.
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			result <- fmt.Errorf("entering a network namespace: %w", err)
			return
		}
		result <- do()
	}()
	return <-result
}

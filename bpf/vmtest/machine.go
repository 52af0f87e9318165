package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// The guest's last line, which the host looks for.
const (
	verdictPass = "vmtest: PASS"
	verdictFail = "vmtest: FAIL"
)

// boot runs the machine until it powers off and returns what its console said.
// The error is about the machine, not about the tests.
func boot(ctx context.Context, cfg config, k kernel, initrd string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.timeout)
	defer cancel()
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		// Emulated: KVM is not to be had everywhere, nested it fails on some
		// hosts, and a boot takes seconds without it.
		"-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", k.image, "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1")
	var console bytes.Buffer
	qemu.Stdout, qemu.Stderr = &console, &console
	err := qemu.Run()
	text := strings.ReplaceAll(console.String(), "\r\n", "\n")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return text, errors.New("qemu-system-x86_64 is not installed: apt-get install qemu-system-x86")
	case ctx.Err() != nil:
		return text, fmt.Errorf("no end after %v", cfg.timeout)
	case err != nil:
		return text, fmt.Errorf("qemu: %w", err)
	}
	return text, nil
}

// judge reads the verdict. A guest that died has none, and a binary that ran no
// test has proved nothing.
func judge(console string) error {
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(line)
		if reason, ok := strings.CutPrefix(line, verdictFail); ok {
			return errors.New("tests failed" + reason)
		}
		if strings.Contains(line, "testing: warning: no tests to run") {
			return errors.New("no tests to run")
		}
		if line == verdictPass {
			return nil
		}
	}
	return errors.New("no verdict on the console: the kernel or its init died")
}

// unbooted tells that the kernel died on its own, before the first test began.
func unbooted(console string) bool {
	return strings.Contains(console, "Kernel panic") && !strings.Contains(console, "=== RUN") &&
		!strings.Contains(console, "vmtest:")
}

// results picks what go test said about each test.
func results(console string) []string {
	var lines []string
	for line := range strings.Lines(console) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "--- ") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

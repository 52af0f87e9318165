package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"time"
)

// plan is what the guest is told, as a file in its root.
type plan struct {
	Command []string      `json:"command"`
	Modules []string      `json:"modules"` // files, in the order to load them in
	Timeout time.Duration `json:"timeout"`
}

const planFile = "plan.json"

// buildInitramfs writes the guest's root into a temporary file: this program as
// /init, the binary under test, the modules and the plan.
func buildInitramfs(ctx context.Context, cfg config, k kernel) (name string, err error) {
	modules, err := resolveModules(ctx, k, cfg.modules)
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("initramfs: own binary: %w", err)
	}
	f, err := os.CreateTemp("", "weir-initramfs-*.cpio")
	if err != nil {
		return "", fmt.Errorf("initramfs: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("initramfs: %w", err)
		}
	}()

	buffered := bufio.NewWriterSize(f, 1<<20)
	root := &cpio{w: buffered}
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "run", "bin", "modules"} {
		root.dir(dir)
	}
	binary := "bin/" + path.Base(cfg.command[0])
	p := plan{
		Command: append([]string{"/" + binary}, cfg.command[1:]...),
		// The guest ends first, so that it can say what it was waiting for.
		Timeout: cfg.timeout - cfg.timeout/6,
	}
	for _, m := range modules {
		file := "modules/" + m.name + ".ko"
		root.bytes(file, 0o644, m.code)
		p.Modules = append(p.Modules, "/"+file)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	root.bytes(planFile, 0o644, text)
	for target, source := range map[string]string{"init": self, binary: cfg.command[0]} {
		if err := root.copy(target, source); err != nil {
			return "", err
		}
	}
	root.end()
	if root.err == nil {
		root.err = buffered.Flush()
	}
	return f.Name(), root.err
}

// cpio writes an archive in the "newc" form, the one that the kernel unpacks.
// The first error sticks.
type cpio struct {
	w   io.Writer
	ino uint32
	err error
}

func (c *cpio) dir(name string) { c.entry(name, 0o040755, nil) }

func (c *cpio) bytes(name string, perm uint32, data []byte) { c.entry(name, 0o100000|perm, data) }

// copy adds an executable file.
func (c *cpio) copy(name, source string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	c.bytes(name, 0o755, data)
	return c.err
}

func (c *cpio) end() { c.entry("TRAILER!!!", 0, nil) }

func (c *cpio) entry(name string, mode uint32, data []byte) {
	c.ino++
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	c.write([]byte(header))
	c.write(data)
}

// write pads to four bytes, as header and data each must be.
func (c *cpio) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
	if odd := len(p) % 4; odd != 0 && c.err == nil {
		_, c.err = c.w.Write(make([]byte, 4-odd))
	}
}

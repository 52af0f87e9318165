// Command vmtest runs a static test binary on other kernels: it boots Debian's
// cloud kernels in QEMU, emulated, with an initramfs that holds the binary and
// vmtest itself as the guest's init.
//
//	go run ./bpf/vmtest -kernels 6.1,6.12 -modules veth,bridge -- bpf.test -test.run TestKernel -test.v
//
// Kernels come from the Debian archive by apt, are unpacked into the cache and
// never installed. It exits with 0 only if the binary did on every kernel, and
// ran at least one test.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type config struct {
	kernels []string // series: "6.1"
	modules []string // by name, loaded with what they depend on
	cache   string
	timeout time.Duration // for one kernel
	verbose bool
	command []string // a static binary and its arguments
}

func main() {
	if os.Getpid() == 1 {
		runGuest()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", err)
		os.Exit(2)
	}
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", err)
		os.Exit(1)
	}
}

func parse(args []string) (config, error) {
	var cfg config
	var kernels, modules string
	flags := flag.NewFlagSet("vmtest", flag.ContinueOnError)
	flags.StringVar(&kernels, "kernels", "6.1,6.12", "kernel `series`, separated by commas")
	flags.StringVar(&modules, "modules", "", "kernel `modules` to load first, separated by commas")
	flags.StringVar(&cfg.cache, "cache", ".cache/kernels", "`directory` that keeps unpacked kernels")
	flags.DurationVar(&cfg.timeout, "timeout", 3*time.Minute, "longest `time` for one kernel, boot included")
	flags.BoolVar(&cfg.verbose, "v", false, "show the console of passing kernels too")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	cfg.kernels, cfg.modules, cfg.command = list(kernels), list(modules), flags.Args()
	if len(cfg.command) == 0 || len(cfg.kernels) == 0 {
		return cfg, errors.New("usage: vmtest [-kernels 6.1,6.12] [-modules veth] -- BINARY [ARG …]")
	}
	return cfg, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// run tries every kernel, also after one has failed: which ones fail tells why.
func run(ctx context.Context, cfg config) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("kernels for %s: only amd64 is set up", runtime.GOARCH)
	}
	var failed []string
	for _, series := range cfg.kernels {
		err := try(ctx, cfg, series)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Printf("FAIL\tkernel %s: %v\n", series, err)
			failed = append(failed, series)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed on %s", strings.Join(failed, ", "))
	}
	return nil
}

// boots is how often a kernel is started that dies while it boots: with two
// processors that are emulated, 6.12 now and then trips over its own code patching.
const boots = 3

func try(ctx context.Context, cfg config, series string) error {
	k, err := findKernel(ctx, cfg.cache, series)
	if err != nil {
		return err
	}
	initrd, err := buildInitramfs(ctx, cfg, k)
	if err != nil {
		return err
	}
	defer os.Remove(initrd)
	begin := time.Now()
	console, err := boot(ctx, cfg, k, initrd)
	for n := 1; n < boots && err == nil && unbooted(console); n++ {
		fmt.Printf("kernel %s died before it ran anything; once more\n", series)
		console, err = boot(ctx, cfg, k, initrd)
	}
	if err == nil {
		err = judge(console)
	}
	if err != nil || cfg.verbose {
		fmt.Printf("--- console of %s\n%s\n--- end of console\n", k.name, console)
	}
	if err != nil {
		return err
	}
	for _, line := range results(console) {
		fmt.Println(line)
	}
	fmt.Printf("ok  \tkernel %s (%s)\t%.1fs\n", series, k.name, time.Since(begin).Seconds())
	return nil
}

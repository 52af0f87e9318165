// Command peer plays one role of a test in a container: the specification is
// its only argument, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed79351815/weir/bpf/lab/role"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: peer '{\"role\": …}'")
	}
	var spec role.Spec
	if err := json.Unmarshal([]byte(args[1]), &spec); err != nil {
		return fmt.Errorf("specification: %w", err)
	}
	// A container's first process has no default signal actions.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return role.Run(ctx, spec, os.Stdin, os.Stdout)
}

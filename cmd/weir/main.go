// Command weir shows every network flow of a container host with the workload
// behind it.
//
// main parses; each command's run does the work and returns an error; nothing
// else ends the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed79351815/weir/bpf"
)

func main() {
	os.Exit(mainStatus())
}

// mainStatus is main with its deferred calls done.
func mainStatus() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks, the second one ends at once.
	context.AfterFunc(ctx, stop)
	// A reader that went away (| head) is an error of the write, not a signal.
	signal.Ignore(syscall.SIGPIPE)
	a := &app{out: quietPipe{os.Stdout}, err: os.Stderr, lookup: os.LookupEnv, environ: os.Environ(), openKernel: bpf.Open,
		outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr)}
	return a.execute(ctx, os.Args[1:])
}

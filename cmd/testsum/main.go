// Command testsum runs `go test` with the arguments it is given and ends with
// what was skipped and why: a run that passes because its tests could not run
// must not look like one that passed.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s, readErr := summarize(events, os.Stdout)
	testErr := cmd.Wait()
	s.print(os.Stdout)
	if testErr == nil && s.passed == 0 {
		testErr = errors.New("no test ran")
	}
	return errors.Join(readErr, testErr)
}

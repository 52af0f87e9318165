package whole

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// actorPath is where this test binary is found in containers. Called by that name
// it is the program that its first argument names.
const actorPath = "/actor"

// actors are programs for which there is no package, or none that counts.
var actors = map[string]func(args []string) error{
	"serve":     serve,
	"ask":       ask,
	"pipeline":  pipeline,
	"websocket": websocket,
	"load":      loadActor,
	"steady":    steady,
	"measure":   measure,
}

// act plays an actor where this process is one, and does not return then.
func act() {
	if os.Args[0] != actorPath {
		return
	}
	// Whatever waits here, waits not for ever.
	time.AfterFunc(10*time.Minute, func() { os.Exit(3) })
	play, ok := actors[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "actor: no such role:", os.Args[1])
		os.Exit(2)
	}
	if err := play(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "actor %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// number reads an actor's argument.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// entry is one line that a server or a client writes of an exchange.
type entry struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status,string"`
	In     uint64 `json:"in,string"`  // bytes of the request, where the server knows
	Out    uint64 `json:"out,string"` // bytes of the answer
}

// journal writes entries. Each is one write, so that those of several goroutines
// do not mix.
type journal struct{ w *os.File }

func (j journal) note(e entry) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	if _, err := j.w.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// measured is what a program printed and what it took.
type measured struct {
	Output string
	CPU    time.Duration // in user and kernel mode, with its children
}

// measure runs a program and prints what it took: only the parent knows exactly.
func measure(argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, out)
	}
	w := bufio.NewWriter(os.Stdout)
	if err := json.NewEncoder(w).Encode(measured{string(out), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}); err != nil {
		return err
	}
	return w.Flush()
}

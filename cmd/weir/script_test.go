package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write golden files and docs/commands.md anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": main})
}

// TestScript runs testdata/script: the command line as a user without privileges
// meets it. Nothing of the machine's own weir is seen.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"status": exitsWith},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition")
		},
		Setup: isolate,
	})
}

// isolate hides the machine's own weir and its settings from a script.
func isolate(env *testscript.Env) error {
	env.Setenv("WEIR_SOCKET", filepath.Join(env.WorkDir, "none.sock"))
	env.Setenv("TZ", "UTC")
	env.Setenv("TERM", "xterm")
	none := filepath.Join(env.WorkDir, "none.yaml")
	env.Setenv("WEIR_CONFIG", none)
	if err := os.WriteFile(none, []byte("# nothing\n"), 0o600); err != nil {
		return err
	}
	recordings, err := filepath.Abs(filepath.Join("testdata", "recordings"))
	env.Setenv("RECORDINGS", recordings)
	return err
}

// exitsWith is the script command "status N ARGS…": weir exits with N.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: status N weir's arguments…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("weir", args[1:]...)
	var exit interface{ ExitCode() int }
	switch {
	case err == nil && want == 0:
	case errors.As(err, &exit) && exit.ExitCode() == want:
	default:
		ts.Fatalf("weir %v: %v, want exit status %d", args[1:], err, want)
	}
}

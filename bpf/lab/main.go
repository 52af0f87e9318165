package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/seed79351815/weir/bpf/lab/role"
)

// roleEnv carries a role.Spec to a child that is this same test binary.
const roleEnv = "WEIR_LAB_ROLE"

// Main runs the tests, or, in a child that a Host started, the role that the
// child is there for. It does not return.
func Main(m *testing.M) {
	text, ok := os.LookupEnv(roleEnv)
	if !ok {
		os.Exit(m.Run())
	}
	if err := playRole(text); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func playRole(text string) error {
	var spec role.Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return fmt.Errorf("%s: %w", roleEnv, err)
	}
	return role.Run(context.Background(), spec, os.Stdin, os.Stdout)
}

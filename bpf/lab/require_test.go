package lab

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recorder is a test that notes how it was ended.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) { r.Skipf("%s", fmt.Sprint(args...)) }

func (r *recorder) Skipf(format string, args ...any) {
	r.end = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ended calls fn as a test would be called.
func ended(fn func(testing.TB)) string {
	r := &recorder{end: "passed"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn(r)
	}()
	<-done
	return r.end
}

func TestWhatIsMissingSkipsOrFails(t *testing.T) {
	needsTool := func(t testing.TB) { RequireTool(t, "no-such-program") }
	for _, tc := range []struct {
		env  string
		test func(testing.TB)
		want string
	}{
		{"", needsTool, "skipped: needs the program no-such-program"},
		{"1", needsTool, "failed: needs the program no-such-program"},
		{"bare", needsTool, "skipped: needs the program no-such-program"},
		{"bare", func(t testing.TB) { missing(t, "needs root") }, "failed: needs root"},
		{"0", RequireRoot, "skipped: " + Privileged + "=0"},
		{"", func(t testing.TB) { RequireTool(t, "sh") }, "passed"},
	} {
		t.Setenv(Privileged, tc.env)
		if got := ended(tc.test); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s=%q: %s, want %s", Privileged, tc.env, got, tc.want)
		}
	}
}

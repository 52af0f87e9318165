package suggest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

// TestLoginSessions: no policy can select them, and they do not spoil the others'.
func TestLoginSessions(t *testing.T) {
	web := flowtest.Container(21, "web")
	ssh := &flow.Workload{
		CgroupID: 9, Cgroup: "/user.slice/user-1000.slice/session-3.scope", Name: "session-3.scope", Owner: flow.Owner{Kind: "Slice", Name: "user-1000.slice"},
		Labels: []flow.Label{{Source: "systemd", Key: "unit", Value: "session-3.scope"}},
	}
	b := learned(t, slices.Concat(
		flowtest.Flow(1, flow.TCP, flowtest.Local(ssh, 40000), flowtest.Local(web, 80)),
		flowtest.Flow(2, flow.TCP, flowtest.Local(web, 40001), flowtest.Remote("198.51.100.7", 443))))
	var done, failed int
	for _, k := range b.Keys() {
		s, err := For(b, k)
		switch {
		case err == nil:
			done++
			if text := string(s.YAML()); !strings.Contains(text, "user-1000.slice") {
				t.Errorf("nothing is said of the session:\n%s", text)
			}
		case errors.Is(err, ErrNoLabels) && k.Name == "user-1000.slice":
			failed++
		default:
			t.Errorf("%s: %v", k, err)
		}
	}
	if done != 1 || failed != 1 {
		t.Errorf("%d policies and %d refused, want one each, of %v", done, failed, b.Keys())
	}
}

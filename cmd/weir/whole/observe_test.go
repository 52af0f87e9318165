package whole

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// line is what the tests read of a line of `weir observe -o json`.
type line struct {
	Flow struct {
		Source      party
		Destination party
		L7          struct {
			HTTP struct{ Code int }
			DNS  struct {
				Query  string
				QTypes []string
				IPs    []string
				RCode  int
			}
		}
		Extensions struct{ Value extensions }
	}
}

type party struct {
	Namespace string
	PodName   string `json:"pod_name"`
}

// extensions is what Hubble has no fields for; docs/hubble-extensions.md.
type extensions struct {
	Record       string
	FlowID       float64 `json:"flow_id"`
	End          string
	Preexisting  bool
	ServerXlated string `json:"server_xlated"`
	Sent         volume
	Received     volume
	Client       side
	Server       side

	// Of exchanges.
	Method string
	Route  string
	HTTP   struct{ Path, Upgrade string }
	TLS    struct {
		Version    string
		ServerName string `json:"server_name"`
		Cipher     string
		Alert      int
		JA4        string
		Resumed    bool
	}
}

type volume struct {
	Packets float64
	Payload float64 `json:"payload_bytes"`
}

type side struct {
	Seen    bool
	Via     string
	Command string
}

// observe asks the daemon for flows, as a user would.
func (d *daemon) observe(t testing.TB, args ...string) []line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.path, append([]string{"observe", "--socket", d.socket, "-o", "json"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("observe %s: %v: %s", strings.Join(args, " "), err, said.String())
	}
	var lines []line
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("observe: %v: %s", err, s.Bytes())
		}
		if l.Flow.Extensions.Value.Record != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// eventually asks again until enough flows are there, and returns them.
func (d *daemon) eventually(t testing.TB, n int, like func(*line) bool, args ...string) []line {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var found []line
		for _, l := range d.observe(t, args...) {
			if like(&l) {
				found = append(found, l)
			}
		}
		if len(found) >= n {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("observe %s: %d flows, want %d; weir said: %s", strings.Join(args, " "), len(found), n, d.log.String())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// ended selects a record of a flow's end.
func ended(l *line) bool { return l.Flow.Extensions.Value.Record == "end" }

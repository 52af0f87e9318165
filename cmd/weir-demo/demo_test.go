package main

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/cmd/weir-demo/shop"
)

func TestServicesFitTogether(t *testing.T) {
	parts := []string{"shop"}
	for _, p := range imageParts() {
		parts = append(parts, p.name)
	}
	all := shopServices("", true)
	names := map[string]int{}
	for i, s := range all {
		if _, twice := names[s.name]; twice {
			t.Errorf("two services %s", s.name)
		}
		names[s.name] = i
		if !slices.Contains(parts, s.part) {
			t.Errorf("%s needs part %s, which no image has", s.name, s.part)
		}
		if len(nsName(s.name)) > 60 || len(s.command()) == 0 || !strings.HasPrefix(s.command()[0], "/") {
			t.Errorf("%s: command %v", s.name, s.command())
		}
	}
	if names[dnsService] != 0 {
		t.Error("the resolver must start first: the others are given its address")
	}
	if names[frontService] < names["web"] {
		t.Error("nginx ends at once when the name of its backend does not resolve: web must start before it")
	}
	for _, f := range failures() {
		if _, ok := names[f.service]; !ok {
			t.Errorf("failure of %s, which is no service", f.service)
		}
	}
	for _, s := range shopServices("", false) {
		if s.name == "mariadb" || slices.Contains(s.argv, "-orders=true") {
			t.Errorf("without a database there is %s %v", s.name, s.argv)
		}
	}
}

// Every role that the table names exists: an unknown one is refused with the list of all.
func TestServicesNameRoles(t *testing.T) {
	known := shop.Main(t.Context(), nil).Error()
	for _, s := range shopServices("", true) {
		if s.ownBinary() && !strings.Contains(known, s.argv[0]) {
			t.Errorf("%s: role %s is none of: %s", s.name, s.argv[0], known)
		}
	}
}

func TestCacheKey(t *testing.T) {
	parts := imageParts()
	key := cacheKey(parts, "debian 12")
	if key != cacheKey(imageParts(), "debian 12") {
		t.Error("the key changes without a reason")
	}
	if key == cacheKey(parts, "debian 13") || key == cacheKey(parts[1:], "debian 12") {
		t.Error("the key does not change with the content")
	}
}

func TestRootfsMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "usr/sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "usr/sbin/nginx")); err != nil {
		t.Fatal(err)
	}
	got := rootfs{dir: dir}.missing(imageParts())
	if len(got) != len(imageParts())-1 || got[0].name != "redis" {
		t.Errorf("missing: %v", got)
	}
}

func TestFreePrefix(t *testing.T) {
	got, err := freePrefix([]netip.Prefix{netip.MustParsePrefix("10.231.77.128/25"), netip.MustParsePrefix("10.231.78.0/23")})
	if err != nil || got != netip.MustParsePrefix("10.231.80.0/24") {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := freePrefix([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil {
		t.Errorf("%v inside a network that is taken", got)
	}
	a := addresses(netip.MustParsePrefix("10.231.77.0/24"), []string{"dns", "web"})
	if a["dns"].String() != "10.231.77.2" || a["web"].String() != "10.231.77.3" {
		t.Errorf("%v", a)
	}
}

func TestCgroup2Mount(t *testing.T) {
	for line, want := range map[string]string{
		"35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw":     "/sys/fs/cgroup",
		"44 29 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw":    "/sys/fs/cgroup/unified",
		"44 29 0:37 /docker/1 /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw":    "", // a bind mount of a part
		"36 29 0:31 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw": "",
		"no line": "",
	} {
		if dir, ok := cgroup2Mount(line); dir != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, dir, ok)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[31mb\x00\nc\xff\r"); got != "a[31mb\nc" {
		t.Errorf("%q", got)
	}
	if got := lastLine("one\ntwo\n\n"); got != "two" {
		t.Errorf("%q", got)
	}
}

func TestReadMessages(t *testing.T) {
	if err := readMessages(strings.NewReader(`{"status":"x"}` + "\n" + `{"stream":"y"}`)); err != nil {
		t.Error(err)
	}
	for in, want := range map[string]string{`{"status":"x"}{"error":"no\u001b space"}`: "no space", `{"status`: "docker's answer"} {
		if err := readMessages(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestLockIsHeldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil || !strings.Contains(err.Error(), "another weir-demo") {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	if fileExists(path) {
		t.Error("the lock file stays")
	}
	unlock, err = lock(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestProgressIsHeldBackFromTheScreen(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	at := time.Unix(0, 0)
	p.now = func() time.Time { return at }
	done := p.step("fetching %d", 3)
	p.hold()
	at = at.Add(1500 * time.Millisecond)
	done()
	if got := out.String(); got != "weir-demo: fetching 3 …\n" {
		t.Errorf("on the screen: %q", got)
	}
	p.release()
	p.release()
	if got := out.String(); got != "weir-demo: fetching 3 …\nweir-demo: fetching 3: done in 1.5 s\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestRunFor(t *testing.T) {
	for _, c := range []struct {
		name, script string
		stopped      bool
		fail         string
	}{
		{"ends by itself", "exit 0", false, ""},
		{"fails", "exit 3", false, "exit status 3"},
		{"ends when asked", "trap 'exit 0' INT; echo up; while :; do sleep 0.05; done", true, ""},
		{"dies of the signal", "exec sleep 60", true, ""},
		{"fails when asked", "trap 'exit 4' INT; while :; do sleep 0.05; done", false, "asked to end: exit status 4"},
	} {
		cmd := exec.Command("sh", "-c", c.script)
		err := runFor(t.Context(), cmd, 300*time.Millisecond, os.Interrupt)
		if errors.Is(err, errStopped) != c.stopped {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.fail)
		}
	}
}

func TestObserveCountsLines(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho \"$@\"\necho two\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := observe(t.Context(), config{weir: fake, duration: 300 * time.Millisecond}, &out)
	if err != nil || n != 2 || out.String() != "observe --follow\ntwo\n" {
		t.Errorf("%d lines, %v: %q", n, err, out.String())
	}
	if err := checkWeir(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("a missing weir: %v", err)
	}
}

func TestObserveEndsQuietlyWithItsReader(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nwhile :; do echo flow; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	if _, err := observe(t.Context(), config{weir: fake, duration: time.Minute}, w); err != nil {
		t.Error(err)
	}
	if readerLeft(exec.Command("sh", "-c", "exit 1").Run()) || readerLeft(nil) {
		t.Error("other ends are taken for a reader that left")
	}
}

func TestDockerSpec(t *testing.T) {
	d := &dockerHost{stateDir: "/run/x", self: "/bin/demo", image: "k", dns: netip.MustParseAddr("10.0.0.2")}
	for _, s := range shopServices("", true) {
		c, h, err := d.spec(s)
		if err != nil {
			t.Fatal(err)
		}
		if c.Labels["com.docker.compose.project"] != "shop" || c.Labels["com.docker.compose.service"] != s.name {
			t.Errorf("%s: labels %v", s.name, c.Labels)
		}
		if _, ok := c.Labels[ownLabel]; !ok {
			t.Errorf("%s would not be found again", s.name)
		}
		if !h.ReadonlyRootfs || h.Privileged || len(h.DNS) != 1 {
			t.Errorf("%s: %+v", s.name, h)
		}
		for port, bindings := range h.PortBindings {
			if s.name != frontService || port.Num() != 80 || len(bindings) != 1 || !bindings[0].HostIP.IsLoopback() {
				t.Errorf("%s publishes %v at %v", s.name, port, bindings)
			}
		}
	}
}

func TestDockerfileInstallsEveryPart(t *testing.T) {
	text := dockerfile(imageParts())
	for _, p := range imageParts() {
		if !strings.Contains(text, " "+p.packages[0]+" ") {
			t.Errorf("%s is missing in\n%s", p.packages[0], text)
		}
	}
}

package whole

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
)

const guardMySQL = `apiVersion: weir.dev/v1alpha1
kind: Guard
metadata:
  name: mysql
spec:
  toCIDR: [%s/32, %s/32]
  toPorts:
    - ports: [{port: "3306", protocol: TCP}]
  allowedFrom:
    - matchLabels: {weir.test/role: %s}
`

// mariadbd is the server's command line: without users, so that whoever reaches it
// is answered.
func mariadbd(dir, address string) []string {
	return []string{"mariadbd", "--no-defaults", "--user=root", "--skip-grant-tables", "--skip-name-resolve", "--datadir=" + dir, "--socket=" + dir + "/s",
		"--pid-file=" + dir + "/pid", "--port=3306", "--bind-address=" + address}
}

// query asks a server something that only it can answer.
func query(a netip.Addr) []string { return sql(a, "select 6*7") }

func sql(a netip.Addr, text string) []string {
	return []string{"mariadb", "--no-defaults", "--connect-timeout=3", "--host=" + a.String(), "--port=3306", "--user=root",
		"--skip-column-names", "--execute=" + text}
}

func answered(out string, err error) bool { return err == nil && strings.TrimSpace(out) == "42" }

// elsewhere is a machine of its own as far as the network goes: a namespace behind
// a link, with a MariaDB in it.
func elsewhere(t *testing.T) netip.Addr {
	t.Helper()
	id := os.Getpid() % 200
	ns, link := fmt.Sprintf("weir-db-%d", os.Getpid()), fmt.Sprintf("weirdb%d", id)
	address := netip.AddrFrom4([4]byte{10, 97, byte(id), 2})
	ip := func(args ...string) {
		t.Helper()
		if out, err := hostRun(append([]string{"ip"}, args...)...); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", ns)
	t.Cleanup(func() { ip("netns", "del", ns) })
	ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", ns)
	ip("addr", "add", fmt.Sprintf("10.97.%d.1/30", id), "dev", link)
	ip("link", "set", link, "up")
	ip("-n", ns, "addr", "add", address.String()+"/30", "dev", "eth0")
	ip("-n", ns, "link", "set", "eth0", "up")
	ip("-n", ns, "route", "add", "default", "via", fmt.Sprintf("10.97.%d.1", id))
	server := exec.Command("ip", append([]string{"netns", "exec", ns}, mariadbd(t.TempDir(), address.String())...)...)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return address
}

// scene is who tries to reach MySQL.
type scene struct {
	t                      *testing.T
	host                   *dockerHost
	app, neighbour, shares *container
	sidecar                *container // in the app's network namespace
	role                   string
	databases              map[string]netip.Addr
}

func newScene(t *testing.T) *scene {
	lab.RequireTool(t, "mariadbd")
	lab.RequireTool(t, "mariadb")
	s := &scene{t: t, host: newDockerHost(t), role: fmt.Sprintf("app-%d", os.Getpid())}
	db := s.host.start("db", nil, mariadbd("/data", "0.0.0.0")...)
	s.databases = map[string]netip.Addr{"on this host": db.ip, "elsewhere": elsewhere(t)}
	s.app = s.host.startWith([]string{"--label", "weir.test/role=" + s.role}, "app", nil, "/usr/bin/sleep", "3600")
	s.neighbour = s.host.idle("neighbour", nil)
	s.shares = s.host.startWith([]string{"--network", "host"}, "hostnet", nil, "/usr/bin/sleep", "3600")
	s.joinApp()
	return s
}

// joinApp starts a container in the app's network namespace: its addresses are the
// app's.
func (s *scene) joinApp() {
	s.sidecar = s.host.startWith([]string{"--network", "container:" + s.app.name}, "sidecar", nil, "/usr/bin/sleep", "3600")
}

// restart gives the app another address: what has its old one is started first.
func (s *scene) restart() {
	s.t.Helper()
	before := s.app.ip
	for _, args := range [][]string{{"rm", "--force", s.sidecar.name}, {"stop", "--time", "0", s.app.name}} {
		if _, err := s.host.docker(nil, args...); err != nil {
			s.t.Fatal(err)
		}
	}
	s.host.idle("filler", nil)
	if _, err := s.host.docker(nil, "start", s.app.name); err != nil {
		s.t.Fatal(err)
	}
	s.app.inspect()
	if s.app.ip == before {
		s.t.Fatalf("the app has its address %s again: the test shows nothing", before)
	}
	s.joinApp()
}

// try has everybody ask both databases.
func (s *scene) try(when string, othersToo bool) {
	s.t.Helper()
	who := []struct {
		name string
		run  func(argv ...string) (string, error)
		want bool
	}{
		{"the app", s.app.run, true},
		{"a neighbour", s.neighbour.run, othersToo},
		{"the host", hostRun, othersToo},
		{"a container with the host's network", s.shares.run, othersToo},
		{"a container with the app's network", s.sidecar.run, othersToo},
	}
	for place, address := range s.databases {
		for _, w := range who {
			out, err := w.run(query(address)...)
			if answered(out, err) != w.want {
				s.t.Errorf("%s, MySQL %s: %s gets %q, %v; it should reach it: %v", when, place, w.name, out, err, w.want)
			}
		}
	}
}

// asleep has a container wait for an answer of the database on this host, so many
// seconds long.
func (s *scene) asleep(c *container, seconds int) <-chan error {
	done := make(chan error, 1)
	argv := sql(s.databases["on this host"], fmt.Sprintf("select sleep(%d)", seconds))
	go func() {
		_, err := c.run(argv...)
		done <- err
	}()
	return done
}

// sleeping waits until the database on this host has so many who wait.
func (s *scene) sleeping(want int) {
	s.t.Helper()
	argv := sql(s.databases["on this host"], "select count(*) from information_schema.processlist where info like 'select sleep%'")
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		out, err := s.app.run(argv...)
		if err == nil && strings.TrimSpace(out) == fmt.Sprint(want) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%q wait, want %d: %v", out, want, err)
		}
	}
}

// serving waits for both databases.
func (s *scene) serving() {
	s.t.Helper()
	for place, address := range s.databases {
		for deadline := time.Now().Add(patience); !answered(s.app.run(query(address)...)); time.Sleep(300 * time.Millisecond) {
			if time.Now().After(deadline) {
				out, err := s.app.run(query(address)...)
				s.t.Fatalf("MySQL %s does not answer: %s, %v", place, out, err)
			}
		}
	}
}

// DESIGN's case 1: once it is enforced only the one container reaches MySQL.
func TestOnlyTheAppReachesMySQL(t *testing.T) {
	s := newScene(t)
	s.serving()
	s.try("without weir", true)

	d := startRuled(t)
	s.try("without a policy", true)
	file := filepath.Join(t.TempDir(), "mysql.yaml")
	text := fmt.Sprintf(guardMySQL, s.databases["on this host"], s.databases["elsewhere"], s.role)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("policy", "audit", file)
	s.try("in audit", true)
	others := []string{"host", s.neighbour.name, s.shares.name, s.sidecar.name}
	d.seen(false, others...)
	if out, err := d.weir("policy", "enforce", "mysql", "--yes"); err == nil || !strings.Contains(out, "--force") {
		t.Errorf("enforced although audit has seen denials: %s", out)
	}
	refused, kept := s.asleep(s.neighbour, 300), s.asleep(s.app, 10)
	s.sleeping(2)
	if out := d.must("policy", "enforce", "mysql", "--yes", "--force"); !strings.Contains(out, "1 connection ended") {
		t.Errorf("the neighbour's connection was not ended: %s", out)
	}
	if err := <-refused; err == nil {
		t.Error("the neighbour's connection went on")
	}
	if err := <-kept; err != nil {
		t.Errorf("the app's connection was cut: %v", err)
	}
	s.try("enforced", false)
	d.seen(true, others...)
	out := d.must("observe", "--verdict", "DROPPED", "--all", "--print-policy-names")
	for _, want := range []string{s.neighbour.name, "DENIED BY mysql (Guard)", "deny everyone else to"} {
		if !strings.Contains(out, want) {
			t.Errorf("observe does not tell %q: %s", want, out)
		}
	}
	if out := d.must("observe", "--verdict", "AUDIT", "--all", "--print-policy-names"); !strings.Contains(out, "AUDITED BY mysql (Guard)") {
		t.Errorf("observe does not tell what audit saw: %s", out)
	}
	for _, action := range []string{"audit", "dropped"} {
		want := `action="` + action + `"`
		if !slices.ContainsFunc(strings.Split(d.metrics(t), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "weir_policy_verdicts_total{") && strings.Contains(l, want) && strings.Contains(l, `policy="mysql"`)
		}) {
			t.Errorf("no metric of verdicts with %s", want)
		}
	}
	s.restart()
	s.try("after the app's restart", false)

	d.kill()
	s.try("after the daemon's death", false)
	s.restart()
	s.try("after the app's restart without a daemon", false)
	d.again()
	s.try("with another daemon", false)
	if p := d.policies().Policies; len(p) != 1 || p[0].Mode != "enforce" {
		t.Errorf("another daemon has policies %+v", p)
	}

	d.must("policy", "off", "--yes")
	s.try("off", true)
}

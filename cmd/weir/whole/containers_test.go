package whole

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// unique names containers so that two runs do not meet.
func unique(name string) string { return fmt.Sprintf("weir-whole-%d-%s", os.Getpid(), name) }

// Ten thousand short connections between two containers are ten thousand flows
// with the right workload at both ends; what is not, is counted as lost.
func TestTenThousandConnectionsBetweenContainers(t *testing.T) {
	docker := lab.NewDocker(t)
	d := start(t)
	const connections = 10_000
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7000)})
	account := docker.Play(unique("client"), role.Spec{Role: role.TCPClient, Address: server.Addr.String(), Count: connections, Parallel: 8, Bytes: 100})
	ran := account.Stop()
	served := server.Stop()
	if ran.Conns != connections || served.Conns != connections {
		t.Fatalf("the programs had %d and %d connections: %v", ran.Conns, served.Conns, ran.Failed)
	}
	lines := d.eventually(t, connections*99/100, ended, "--all", "--port", "7000")
	right, sent := 0, 0.0
	ids := map[float64]bool{}
	for _, l := range lines {
		f := &l.Flow
		ids[f.Extensions.Value.FlowID] = true
		sent += f.Extensions.Value.Sent.Payload
		if f.Source.PodName == unique("client") && f.Destination.PodName == unique("server") && f.Extensions.Value.Client.Seen && f.Extensions.Value.Server.Seen {
			right++
		}
	}
	t.Logf("%d flows, %d with both containers", len(ids), right)
	lost := d.lost(t)
	if len(ids)+lost < connections || len(ids) > connections {
		t.Errorf("%d flows and %d lost events for %d connections", len(ids), lost, connections)
	}
	if right < connections*99/100 {
		t.Errorf("%d of %d flows have the right workloads", right, connections)
	}
	if lost == 0 && uint64(sent) != ran.Sent {
		t.Errorf("flows sent %.0f bytes, the program counted %d", sent, ran.Sent)
	}
}

// lost sums weir_lost_total.
func (d *daemon) lost(t testing.TB) int {
	t.Helper()
	total := 0.0
	for _, l := range strings.Split(d.metrics(t), "\n") {
		if strings.HasPrefix(l, "weir_lost_total{") {
			n, err := strconv.ParseFloat(l[strings.LastIndexByte(l, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return int(total)
}

// metrics scrapes the daemon.
func (d *daemon) metrics(t testing.TB) string {
	t.Helper()
	resp, err := http.Get("http://" + d.serves + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// A container that speaks at once is named within a second of its start.
func TestNewContainerIsNamed(t *testing.T) {
	docker := lab.NewDocker(t)
	d := start(t)
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7001)})
	for i := range 5 {
		name := unique("hasty-" + strconv.Itoa(i))
		docker.Play(name, role.Spec{Role: role.TCPClient, Address: server.Addr.String()}, "--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=hasty").Stop()
		l := d.eventually(t, 1, func(l *line) bool { return ended(l) && l.Flow.Source.PodName == name }, "--all", "--port", "7001")[0]
		if l.Flow.Source.Namespace != "shop" || l.Flow.Extensions.Value.Client.Command != "peer" {
			t.Errorf("source %+v, process %+v", l.Flow.Source, l.Flow.Extensions.Value.Client)
		}
	}
}

// The host reaches a published port through docker-proxy, another container
// through NAT: both are shown with the container behind.
func TestPublishedPortLeadsToItsContainer(t *testing.T) {
	docker := lab.NewDocker(t)
	d := start(t)
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7002)}, "--publish", "127.0.0.1::7002", "--publish", "17002:7002")
	out, err := exec.Command("docker", "port", server.Name, "7002").Output()
	if err != nil {
		t.Fatal(err)
	}
	loopback := ""
	for _, l := range strings.Fields(string(out)) {
		if strings.HasPrefix(l, "127.0.0.1:") {
			loopback = l
		}
	}
	conn, err := net.Dial("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, port, _ := net.SplitHostPort(loopback)
	l := d.eventually(t, 1, ended, "--all", "--to-port", port)[0]
	if l.Flow.Destination.PodName != server.Name {
		t.Errorf("by the host: destination %+v, extensions %+v", l.Flow.Destination, l.Flow.Extensions.Value)
	}

	gateway, err := exec.Command("docker", "inspect", "--format", "{{.NetworkSettings.Gateway}}", server.Name).Output()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(string(gateway)) + ":17002"
	docker.Play(unique("client"), role.Spec{Role: role.TCPClient, Address: address}).Stop()
	l = d.eventually(t, 1, ended, "--all", "--to-port", "17002")[0]
	if l.Flow.Source.PodName != unique("client") || l.Flow.Destination.PodName != server.Name {
		t.Errorf("by a container: %+v -> %+v, extensions %+v", l.Flow.Source, l.Flow.Destination, l.Flow.Extensions.Value)
	}
}

// A killed daemon leaves nothing in the kernel; the next one finds the flows
// that live.
func TestKilledDaemonLeavesNothingAndComesBack(t *testing.T) {
	docker := lab.NewDocker(t)
	d := start(t)
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7003)})
	client := docker.Play(unique("client"), role.Spec{Role: role.TCPClient, Address: server.Addr.String(), Count: 3, Bytes: 1000, Wait: true})
	d.eventually(t, 3, func(l *line) bool { return l.Flow.Extensions.Value.Record == "start" }, "--all", "--port", "7003")
	programs := d.programs(t)
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = d.cmd.Wait()
	awaitNoPrograms(t, programs)
	again := d.again(t)
	client.Stop()
	for _, l := range again.eventually(t, 3, ended, "--all", "--port", "7003") {
		if x := l.Flow.Extensions.Value; !x.Preexisting || l.Flow.Source.PodName != unique("client") || l.Flow.Destination.PodName != unique("server") || x.Sent.Payload != 1000 {
			t.Errorf("older flow: %+v -> %+v, %+v", l.Flow.Source, l.Flow.Destination, x)
		}
	}
}

// weir's own scrapes and sockets are not counted, whoever scrapes.
func TestOwnSocketsAreNotShown(t *testing.T) {
	lab.RequireRoot(t)
	d := start(t)
	for range 5 {
		d.metrics(t)
	}
	conn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := net.Dial("tcp", conn.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	_, port, _ := net.SplitHostPort(conn.Addr().String())
	d.eventually(t, 1, func(*line) bool { return true }, "--all", "--port", port)
	_, own, _ := net.SplitHostPort(d.serves)
	if lines := d.observe(t, "--all", "--port", own); len(lines) > 0 {
		t.Errorf("a scrape was shown: %+v", lines[0])
	}
}

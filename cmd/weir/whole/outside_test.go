package whole

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
)

// outside is another machine, as far as this one can tell: what comes from its
// address comes over a link, and from no socket of this kernel.
type outside struct {
	t       *testing.T
	wire    *lab.Wire
	machine netip.Addr // this machine, as it is called there
	own     netip.Addr
	port    atomic.Uint32 // of the last attempt
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	id := byte(os.Getpid() % 200)
	o := &outside{t: t, machine: netip.AddrFrom4([4]byte{10, 96, id, 1}), own: lab.PeerV4(int(id) + 1)}
	h := lab.New(t).Host("outside")
	link, gateway := fmt.Sprintf("weirout%d", id), netip.AddrFrom4([4]byte{10, 96, id, 2})
	ip := func(run func(argv ...string) (string, error), args ...string) {
		t.Helper()
		if out, err := run(append([]string{"ip"}, args...)...); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	inside := func(argv ...string) (string, error) {
		out, err := h.Command(argv[0], argv[1:]...).Output()
		return string(out), err
	}
	ip(inside, "link", "add", "out0", "type", "veth", "peer", "name", link, "netns", fmt.Sprint(os.Getpid()))
	ip(inside, "addr", "add", gateway.String()+"/30", "dev", "out0")
	ip(inside, "link", "set", "out0", "up")
	ip(hostRun, "addr", "add", o.machine.String()+"/30", "dev", link)
	ip(hostRun, "link", "set", link, "up")
	ip(hostRun, "route", "add", o.own.String()+"/32", "via", gateway.String())
	if err := h.Run(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		t.Fatal(err)
	}
	o.wire = h.Wire()
	return o
}

// greeted asks a server of this machine, and tells whether it answers.
func (o *outside) greeted(port uint16) bool {
	from := netip.AddrPortFrom(o.own, uint16(20000+o.port.Add(1)))
	answer := make(chan bool, 1)
	go func() {
		p, err := o.wire.Dial(from, netip.AddrPortFrom(o.machine, port), false)
		if err != nil || p.Send(lab.Segment{Data: []byte("GET /hello HTTP/1.0\r\n\r\n")}) != nil {
			answer <- false
			return
		}
		const status = "HTTP/1.0 200"
		b, err := p.Received(len(status))
		answer <- err == nil && strings.HasPrefix(string(b), status)
	}()
	select {
	case is := <-answer:
		return is
	case <-time.After(refusedAfter):
		return false
	}
}

// refusedAfter is how long nothing comes before it is taken for a refusal: less than
// it takes TCP to try again.
const refusedAfter = 800 * time.Millisecond

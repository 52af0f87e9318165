package lab

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/seed79351815/weir/bpf/lab/role"
)

// Peer is one end of a TCP connection whose other end is a real socket. It
// acknowledges what comes, in order, and keeps it. It sends nothing by itself: what
// it is told to send it sends as told, once. Safe for concurrent use.
type Peer struct {
	wire          *Wire
	local, remote netip.AddrPort

	mu       sync.Mutex
	changed  sync.Cond
	start    uint32 // sequence number of the first byte that it sends
	next     uint32 // that it expects
	clock    uint32 // its own time
	echo     uint32 // the socket's time
	acked    uint32 // by the socket
	window   int    // the socket's, bytes
	scale    uint8
	up       bool // the socket has answered
	ended    bool // the socket has finished
	reset    bool
	service  int // of its last segment; -1 until there is one
	received []byte
}

// The clock of a peer begins here, so that there are times before it.
const (
	peerClock = 1 << 20
	peerStart = 0xfffffc00 // sequence numbers wrap early
)

func (w *Wire) peer(local, remote netip.AddrPort) *Peer {
	p := &Peer{wire: w, local: local, remote: remote, clock: peerClock, start: peerStart + 1}
	p.changed.L = &p.mu
	p.acked = p.start
	w.add(p)
	return p
}

// Dial connects to a real server. Where silent is set, it does not answer the
// SYN-ACK: the server's kernel has no socket yet, and the first segment meets the
// listener.
func (w *Wire) Dial(local, server netip.AddrPort, silent bool) (*Peer, error) {
	p := w.peer(local, server)
	p.mu.Lock()
	err := p.put(&segment{seq: p.start - 1, flags: flagSYN, scale: 7}, false, false)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := p.await("SYN-ACK", func() bool { return p.up }); err != nil {
		return nil, err
	}
	if silent {
		return p, nil
	}
	return p, p.Send(Segment{})
}

// Expect is a peer that a real client will dial. Await the client with Established.
func (w *Wire) Expect(local netip.AddrPort) *Peer {
	return w.peer(local, netip.AddrPort{})
}

// Established waits until a client has connected.
func (p *Peer) Established() error {
	return p.await("connection", func() bool { return p.up && p.acked == p.start })
}

// Segment is what a peer sends.
type Segment struct {
	At   int // of the first byte in the peer's stream
	Data []byte
	FIN  bool // behind Data
	RST  bool

	BadChecksum   bool
	Old           bool // its timestamp is older than what the socket has seen: PAWS, RFC 7323 §5
	NoACK         bool // without the flag
	AckAhead      bool // it acknowledges what the socket never sent
	BehindOptions bool // IPv6: destination options before the TCP header
}

// Valid tells whether a socket takes the segment, if it is in its window.
func (s *Segment) Valid() bool {
	return s.At >= 0 && s.At < 1<<20 && !s.BadChecksum && !s.Old && !s.NoACK && !s.AckAhead
}

// Send puts segments on the wire. It returns when the kernel is done with them,
// unless the socket's program was just using the socket.
func (p *Peer) Send(segments ...Segment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range segments {
		g := &segment{seq: p.start + uint32(s.At), data: s.Data, flags: flagACK}
		if len(s.Data) > 0 {
			g.flags |= flagPSH
		}
		if s.FIN {
			g.flags |= flagFIN
		}
		if s.RST {
			g.flags |= flagRST
		}
		if s.NoACK {
			g.flags &^= flagACK
		}
		if s.Old {
			g.sent = peerClock - 1000
		}
		if s.AckAhead {
			g.ack = p.next + 1<<20
		}
		if err := p.put(g, s.BadChecksum, s.BehindOptions); err != nil {
			return err
		}
	}
	return nil
}

// put completes a segment and sends it.
func (p *Peer) put(s *segment, badChecksum, behindOptions bool) error {
	s.from, s.to = p.local, p.remote
	s.echo, s.window = p.echo, 0xffff
	if s.ack == 0 {
		s.ack = p.next
	}
	if s.sent == 0 {
		p.clock++
		s.sent = p.clock
	}
	return p.wire.write(s.marshal(badChecksum, behindOptions))
}

// take is told every segment that the socket sends.
func (p *Peer) take(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	if s.flags&flagRST != 0 {
		p.reset, p.ended = true, true
		return
	}
	p.echo, p.service = s.sent, int(s.service)
	if s.flags&flagACK != 0 {
		p.acked = s.ack
	}
	if s.flags&flagSYN != 0 {
		p.meet(s)
		return
	}
	p.window = int(s.window) << p.scale
	length := uint32(len(s.data))
	if old := p.next - s.seq; old <= length {
		p.received = append(p.received, s.data[old:]...)
		p.next = s.seq + length
		if s.flags&flagFIN != 0 && !p.ended {
			p.ended = true
			p.next++
		}
	}
	if length > 0 || s.flags&flagFIN != 0 {
		_ = p.put(&segment{seq: p.acked, flags: flagACK}, false, false)
	}
}

// meet takes a SYN, or the SYN-ACK.
func (p *Peer) meet(s *segment) {
	p.next, p.scale, p.window, p.up = s.seq+1, s.scale, int(s.window), true
	if s.flags&flagACK == 0 {
		p.remote = s.from
		p.acked = p.start - 1
		_ = p.put(&segment{seq: p.start - 1, flags: flagSYN | flagACK, scale: 7}, false, false)
	}
}

// await waits for what the socket does.
func (p *Peer) await(what string, done func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := false
	timer := time.AfterFunc(wirePatience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		late = true
		p.changed.Broadcast()
	})
	defer timer.Stop()
	for !done() {
		if late {
			return fmt.Errorf("peer %s of %s: no %s after %v: it sent %d bytes and took %d, reset %v", p.local, p.remote, what,
				wirePatience, len(p.received), p.acked-p.start, p.reset)
		}
		if p.reset && p.ended {
			return fmt.Errorf("peer %s of %s: reset while it waited for %s", p.local, p.remote, what)
		}
		p.changed.Wait()
	}
	return nil
}

// wirePatience bounds the wait for a kernel; a good run waits for none of it.
const wirePatience = 10 * time.Second

// Taken waits until the socket has acknowledged n bytes.
func (p *Peer) Taken(n int) error {
	return p.await(fmt.Sprintf("acknowledgement of %d bytes", n), func() bool { return int32(p.acked-p.start)-int32(n) >= 0 })
}

// Received waits until the socket has sent n bytes in all, and returns all that it
// has sent.
func (p *Peer) Received(n int) ([]byte, error) {
	err := p.await(fmt.Sprintf("%d bytes", n), func() bool { return len(p.received) >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received, err
}

// Ended waits until the socket has finished or has been reset.
func (p *Peer) Ended() error {
	return p.await("end", func() bool { return p.ended })
}

// Room is how many bytes the socket has taken, and how many more it says it takes.
func (p *Peer) Room() (taken, room int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.acked - p.start), p.window
}

// Asleep waits until the socket's program, which plays a script, sleeps until it has
// heard all before its n-th turn. Each thing that it does with its socket has what
// arrives meanwhile wait, and seen by weir before TCP has decided on it.
func (p *Peer) Asleep(n int) error {
	mark := role.SleepMark(n)
	for deadline := time.Now().Add(wirePatience); time.Now().Before(deadline); time.Sleep(50 * time.Microsecond) {
		p.mu.Lock()
		p.service = -1
		// What is too old is answered at once.
		err := p.put(&segment{seq: p.acked - 1<<20, flags: flagACK}, false, false)
		p.mu.Unlock()
		if err != nil {
			return err
		}
		service := -1
		if err := p.await("answer", func() bool { service = p.service; return service >= 0 }); err != nil {
			return err
		}
		if service == mark {
			return nil
		}
	}
	return fmt.Errorf("peer %s of %s: its program does not sleep before turn %d", p.local, p.remote, n)
}

// Local is the forged end.
func (p *Peer) Local() netip.AddrPort { return p.local }

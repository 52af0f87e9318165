package role

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
)

// Script is what the connections of the roles ScriptServer and ScriptClient say:
// the JSON file that Spec.Path names.
type Script struct {
	// Parts are what a connection can play.
	Parts []Part `json:"parts"`
	// Calls are the connections of a client. A server plays the part whose
	// number is the peer's port, less PartPort.
	Calls []Call `json:"calls,omitempty"`
}

// PartPort is the port of a peer that a server plays part 0 for.
const PartPort = 20000

// Call is one connection of a client.
type Call struct {
	To   string `json:"to"`
	Part int    `json:"part"`
}

// Part is what one end of a connection does. It closes when the peer has finished.
// It reads all the time, or, unless Eager is set, what comes before a turn at once:
// until then it does not touch its socket, and says so with the type of service of
// what its kernel sends, see SleepMark.
type Part struct {
	Turns []Turn        `json:"turns"`
	Close bool          `json:"close,omitempty"` // it finishes after its last turn
	Hold  time.Duration `json:"hold,omitempty"`  // before it reads
	Stall time.Duration `json:"stall,omitempty"` // how long its first reading has the socket locked, unless it is eager
	Eager bool          `json:"eager,omitempty"`
}

// Turn is what is written after so many bytes were read in all; it may be nothing.
type Turn struct {
	After int    `json:"after"`
	Say   []byte `json:"say"`
}

func readScript(path string) (s Script, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("script: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("script %s: %w", path, err)
	}
	return s, nil
}

func scriptServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	script, err := readScript(s.Path)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if s.Behaviour == Defer {
		lc.Control = deferAccept
	}
	ln, err := lc.Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	acceptAll(ctx, ln, ready, func(c *net.TCPConn) {
		n := int(addrPort(c.RemoteAddr()).Port()) - PartPort
		if n < 0 || n >= len(script.Parts) {
			n = 0
		}
		scriptPlay(ctx, script.Parts[n], c, acc)
	})
	return nil
}

// scriptClient makes the Calls, Parallel at once. It is ready before the first.
func scriptClient(ctx context.Context, s Spec, ready func(string), acc *account) error {
	script, err := readScript(s.Path)
	if err != nil {
		return err
	}
	ready("")
	ctx = context.WithoutCancel(ctx) // it finishes what it was told to do
	calls := make(chan Call, len(script.Calls))
	for _, c := range script.Calls {
		calls <- c
	}
	close(calls)
	s.Count = len(script.Calls)
	each(s, func() {
		call := <-calls
		c, err := net.DialTimeout("tcp", call.To, s.Timeout)
		if err != nil {
			acc.add(Conn{}, 0, false, err)
			return
		}
		scriptPlay(ctx, script.Parts[call.Part], c.(*net.TCPConn), acc)
	})
	return nil
}

// scriptPlay plays one connection and counts it.
func scriptPlay(ctx context.Context, p Part, c *net.TCPConn, acc *account) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	defer c.Close()
	conn := Conn{Local: addrPort(c.LocalAddr()), Remote: addrPort(c.RemoteAddr())}
	if p.Hold > 0 {
		pause(ctx, p.Hold)
	}
	talk := scriptTalk
	if p.Eager {
		talk = scriptTalkAtOnce
	}
	err := talk(p, c, &conn)
	acc.add(conn, 0, true, err)
}

// scriptTalk hears what comes before a turn, and says the turn.
func scriptTalk(p Part, c *net.TCPConn, conn *Conn) error {
	buf := make([]byte, 64<<10)
	for n, turn := range p.Turns {
		if left := turn.After - int(conn.Received); left > 0 {
			if err := sleep(c, left, n); err != nil {
				return err
			}
		}
		for int(conn.Received) < turn.After {
			n, err := p.read(c, buf, conn.Received == 0)
			conn.Received += uint64(n)
			if err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			if err != nil {
				return err
			}
			// Woken early, where segments are so small that they fill the buffer.
			if err := lowWater(c); err != nil {
				return err
			}
		}
		if len(turn.Say) == 0 {
			continue
		}
		n, err := c.Write(turn.Say)
		conn.Sent += uint64(n)
		if err != nil {
			return err
		}
	}
	if p.Close {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	if err := lowWater(c); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, c)
	conn.Received += uint64(n)
	return err
}

func (p *Part) read(c *net.TCPConn, buf []byte, first bool) (int, error) {
	if first && p.Stall > 0 {
		return stalledRead(c, p.Stall)
	}
	return c.Read(buf)
}

// scriptTalkAtOnce hears beside what it says.
func scriptTalkAtOnce(p Part, c *net.TCPConn, conn *Conn) error {
	read := make(chan int, 1)
	spoken := make(chan error, 1)
	go func() {
		n, err := scriptSpeak(p, c, read)
		conn.Sent = uint64(n)
		spoken <- err
	}()
	received, err := scriptListen(c, read)
	conn.Received = uint64(received)
	if e := <-spoken; err == nil {
		err = e
	}
	return err
}

// scriptListen reads to the peer's end, and tells how much it has in all.
func scriptListen(c io.Reader, read chan int) (int, error) {
	defer close(read)
	buf := make([]byte, 64<<10)
	total := 0
	for {
		n, err := c.Read(buf)
		total += n
		// What was not taken yet is out of date.
		select {
		case <-read:
		default:
		}
		read <- total
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func scriptSpeak(p Part, c *net.TCPConn, read <-chan int) (sent int, err error) {
	total := 0
	for _, turn := range p.Turns {
		for total < turn.After {
			n, ok := <-read
			if !ok {
				return sent, io.ErrUnexpectedEOF
			}
			total = n
		}
		n, err := c.Write(turn.Say)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	if p.Close {
		return sent, c.CloseWrite()
	}
	return sent, nil
}

// PartAddr is a peer's end for which a server plays that part.
func PartAddr(a netip.Addr, part int) netip.AddrPort {
	return netip.AddrPortFrom(a, uint16(PartPort+part))
}

// WriteScript writes a script where a role will read it.
func WriteScript(path string, s Script) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("script: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("script %s: %w", strconv.Quote(path), err)
	}
	return nil
}

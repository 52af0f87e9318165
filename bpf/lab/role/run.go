package role

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// program is one role: it calls ready once, works until it is done or ctx ends,
// and leaves its account in acc.
type program func(ctx context.Context, s Spec, ready func(address string), acc *account) error

// programs is the table of all roles.
func programs(n Name) (program, bool) {
	p, ok := map[Name]program{
		TCPServer:      tcpServer,
		TCPClient:      tcpClient,
		UDPServer:      udpServer,
		UDPClient:      udpClient,
		HTTPServer:     httpServer,
		HTTPClient:     httpClient,
		DatagramServer: datagramServer,
		DatagramClient: datagramClient,
		Asker:          asker,
		Ping:           ping,
		ScriptServer:   scriptServer,
		ScriptClient:   scriptClient,
		Steady:         steady,
		Sneak:          sneak,
		Connector:      connector,
		RawServer:      rawServer,
		Flood:          flood,
	}[n]
	return p, ok
}

// Run is a role from start to end. It returns when the role is done, after in
// was closed where the role waits for that, or when ctx ends. The Ready and
// Report lines go to out.
func Run(ctx context.Context, s Spec, in io.Reader, out io.Writer) error {
	p, ok := programs(s.Role)
	if !ok {
		return fmt.Errorf("role %q: unknown", s.Role)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// What is read does not matter: only the end of it does. A client
		// ignores it unless it was told to wait.
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()

	enc := json.NewEncoder(out)
	acc := &account{detail: s.Detail}
	var once sync.Once
	ready := func(address string) {
		once.Do(func() { _ = enc.Encode(Ready{PID: os.Getpid(), Address: address}) })
	}
	if err := p(ctx, s.withDefaults(), ready, acc); err != nil {
		return fmt.Errorf("role %s: %w", s.Role, err)
	}
	ready("")
	if err := enc.Encode(acc.result()); err != nil {
		return fmt.Errorf("role %s: report: %w", s.Role, err)
	}
	return nil
}

// each calls do Count times, Parallel at once, and returns when all are done.
func each(s Spec, do func()) {
	todo := make(chan struct{}, s.Count)
	for range s.Count {
		todo <- struct{}{}
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(s.Parallel, s.Count) {
		wg.Go(func() {
			for range todo {
				do()
			}
		})
	}
	wg.Wait()
}

// finish is a client's end: with Wait it says that it is ready and keeps what
// it holds open until it is told to go.
func finish(ctx context.Context, s Spec, ready func(string), held []io.Closer) {
	ready("")
	if s.Wait {
		<-ctx.Done()
	}
	for _, c := range held {
		_ = c.Close()
	}
}

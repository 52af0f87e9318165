package identity

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// recorder is a sink that remembers what it was told.
type recorder struct {
	mu        sync.Mutex
	connected int
	learnt    map[string]*container
}

func (r *recorder) Connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connected++
}

func (r *recorder) Learn(c container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.learnt == nil {
		r.learnt = map[string]*container{}
	}
	r.learnt[c.id] = merge(r.learnt[c.id], c)
}

func (r *recorder) get(id string) container {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.learnt[id]; c != nil {
		return *c
	}
	return container{}
}

func (r *recorder) isConnected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connected > 0
}

// watch runs rt.Watch until the test ends. broke gives Watch's error when it
// ends by itself; stop ends it and gives its error.
func watch(t *testing.T, rt runtime, s sink) (broke, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rt.Watch(ctx, s) }()
	broke = sync.OnceValue(func() error {
		select {
		case err := <-done:
			return err
		case <-time.After(5 * time.Second):
			t.Error("Watch does not end")
			return nil
		}
	})
	stop = func() error {
		cancel()
		return broke()
	}
	t.Cleanup(func() { stop() })
	return broke, stop
}

// listenUnix serves on a unix socket until the test ends.
func listenUnix(t *testing.T) (net.Listener, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	return l, socket
}

func serveGRPC(t *testing.T, register func(*grpc.Server)) (socket string, server *grpc.Server) {
	t.Helper()
	l, socket := listenUnix(t)
	server = grpc.NewServer()
	register(server)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return socket, server
}

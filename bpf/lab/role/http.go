package role

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// httpServer answers every request with Bytes of body; /status/404 with that
// status.
func httpServer(ctx context.Context, s Spec, ready func(string), acc *account) error {
	ln, err := net.Listen("tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	body := make([]byte, s.Bytes)
	_, _ = pattern{}.Read(body)
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			pause(r.Context(), s.Delay)
			w.WriteHeader(statusOf(r.URL.Path))
			sent, err := w.Write(body)
			acc.add(Conn{Received: uint64(n), Sent: uint64(sent)}, 0, true, err)
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	ready(ln.Addr().String())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func statusOf(path string) int {
	text, ok := strings.CutPrefix(path, "/status/")
	if !ok {
		return http.StatusOK
	}
	code, err := strconv.Atoi(text)
	if err != nil || code < 200 || code > 599 {
		return http.StatusBadRequest
	}
	return code
}

// httpClient sends Count requests over as many kept connections as are needed
// for Parallel; with Behaviour Sink the Bytes go up in a POST.
func httpClient(ctx context.Context, s Spec, ready func(string), acc *account) error {
	transport := &http.Transport{MaxIdleConnsPerHost: s.Parallel}
	client := &http.Client{Timeout: s.Timeout, Transport: transport}
	url := "http://" + s.Address + s.Path
	up := make([]byte, s.Bytes)
	_, _ = pattern{}.Read(up)
	each(s, func() {
		method, body := http.MethodGet, []byte(nil)
		if s.Behaviour == Sink {
			method, body = http.MethodPost, up
		}
		received, err := request(client, method, url, body)
		acc.add(Conn{Sent: uint64(len(body)), Received: uint64(received)}, 0, err == nil, err)
	})
	finish(ctx, s, ready, nil)
	transport.CloseIdleConnections()
	return nil
}

func request(client *http.Client, method, url string, body []byte) (received int64, err error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

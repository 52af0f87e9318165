package whole

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// serve is a net/http server that writes down what it answered.
func serve(args []string) error {
	log := journal{os.Stdout}
	mux := http.NewServeMux()
	answer := func(path string, status int, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	answer("/hello", http.StatusOK, "hello\n")
	answer("/app/", http.StatusOK, strings.Repeat("app ", 5000))
	answer("/items/", http.StatusCreated, "made\n")
	answer("/none", http.StatusNoContent, "")
	answer("/busy", http.StatusServiceUnavailable, "later\n")
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 20 {
			_, _ = io.WriteString(w, strings.Repeat("x", 700))
			w.(http.Flusher).Flush() // chunks
		}
	})
	// Spread evenly over a range, so that their histogram can be interpolated.
	var turn atomic.Int64
	mux.HandleFunc("/pause/", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2*time.Millisecond + time.Duration(turn.Add(1)*37%100)*80*time.Microsecond)
		_, _ = io.WriteString(w, "done\n")
	})
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/ws", upgrade)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Addr: args[0], ReadHeaderTimeout: patience, Handler: noted(mux, log)}
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// noted writes an entry of each answer.
func noted(h http.Handler, log journal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &noticing{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(n, r)
		log.note(entry{Method: r.Method, Path: r.URL.Path, Status: n.status})
	})
}

type noticing struct {
	http.ResponseWriter
	status int
}

func (n *noticing) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

func (n *noticing) Flush() { n.ResponseWriter.(http.Flusher).Flush() }

func (n *noticing) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// upgrade is the server's side of RFC 6455 §4.2.2, and sends back what comes.
func upgrade(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if n, ok := w.(*noticing); ok {
		n.status = http.StatusSwitchingProtocols
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// websocket upgrades and then sends frames in which requests stand: they are none.
func websocket(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", args[0])
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("no upgrade: %v, %w", resp, err)
	}
	for range 10 {
		const text = "GET /fake HTTP/1.1\r\nHost: fake\r\n\r\n"
		// As text and with a mask of zeroes, which leaves it as it is.
		frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
		for _, b := range [][]byte{frame, []byte(text)} {
			if _, err := conn.Write(b); err != nil {
				return err
			}
			if _, err := io.ReadFull(in, make([]byte, len(b))); err != nil {
				return err
			}
		}
	}
	return nil
}

func dial(address string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// ask is a net/http client with kept connections that writes down what it was
// answered.
func ask(args []string) error {
	log := journal{os.Stdout}
	client := &http.Client{Timeout: patience}
	big := bytes.Repeat([]byte("0123456789"), 10_000)
	do := func(method, path string, body io.Reader, head ...string) error {
		req, err := http.NewRequest(method, "http://"+args[0]+path, body)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(head); i += 2 {
			req.Header.Set(head[i], head[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		log.note(entry{Method: method, Path: req.URL.Path, Status: resp.StatusCode})
		return nil
	}
	return errors.Join(
		do("GET", "/hello?secret=1", nil),
		do("GET", "/hello", nil),
		do("HEAD", "/hello", nil),
		do("GET", "/app/page", nil),
		do("POST", "/hello", bytes.NewReader(big)),
		do("POST", "/hello", io.MultiReader(bytes.NewReader(big))), // its length is not known: chunked
		do("PUT", "/items/17", bytes.NewReader(big), "Expect", "100-continue"),
		do("DELETE", "/none", nil),
		do("PATCH", "/items/18", strings.NewReader("{}")),
		do("GET", "/stream", nil),
		do("GET", "/missing", nil),
		do("GET", "/busy", nil, "Connection", "close"),
		do("OPTIONS", "/hello", nil),
	)
}

// pipeline sends several requests before it reads the answers, again and again on
// one connection: ADDRESS DEPTH ROUNDS.
func pipeline(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for round := range number(args[2]) {
		var b strings.Builder
		var asked []*http.Request
		for i := range number(args[1]) {
			method := "GET"
			if (round+i)%3 == 2 {
				method = "HEAD"
			}
			fmt.Fprintf(&b, "%s /piped HTTP/1.1\r\nHost: piped\r\n\r\n", method)
			asked = append(asked, &http.Request{Method: method})
		}
		if _, err := io.WriteString(conn, b.String()); err != nil {
			return err
		}
		for _, req := range asked {
			resp, err := http.ReadResponse(in, req)
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

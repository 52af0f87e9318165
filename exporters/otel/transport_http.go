package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

const protobufType = "application/x-protobuf"

// overHTTP is a transport by POST of protobuf.
type overHTTP struct {
	client   *http.Client
	endpoint *Endpoint
	agent    string
	zip      *gzip.Writer // kept: it holds most of a megabyte
	zipped   spare
}

func newHTTP(e *Endpoint, agent string) *overHTTP {
	return &overHTTP{endpoint: e, agent: agent, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: e.TLS, ForceAttemptHTTP2: true,
			MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		// Headers are secrets, and are not for whom a receiver names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (h *overHTTP) send(ctx context.Context, message mem.Buffer, answer proto.Message) *failure {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.endpoint.URL, nil)
	if err != nil {
		return &failure{err: fmt.Errorf("request: %w", err)}
	}
	if h.endpoint.Gzip {
		if message, err = h.compressed(message); err != nil {
			return &failure{err: fmt.Errorf("compress: %w", err)}
		}
		defer message.Free()
	}
	req.ContentLength = int64(message.Len())
	req.GetBody = func() (io.ReadCloser, error) { return newBody(message), nil }
	req.Body = newBody(message)
	req.Header.Set("User-Agent", h.agent)
	for k, v := range h.endpoint.Headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Content-Type", protobufType)
	if h.endpoint.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := h.client.Do(req)
	if err != nil {
		return &failure{err: err, retry: true}
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return &failure{err: fmt.Errorf("answer: %w", err), retry: true}
	}
	if res.StatusCode/100 != 2 {
		return httpFailure(res, reason(res, said), time.Now())
	}
	// Some receivers answer with nothing or with JSON: it was taken all the same.
	if res.Header.Get("Content-Type") == protobufType {
		if err := proto.Unmarshal(said, answer); err != nil {
			proto.Reset(answer)
		}
	}
	return nil
}

// compressed is the message as gzip; whoever asked frees it.
func (h *overHTTP) compressed(message mem.Buffer) (mem.Buffer, error) {
	data := h.zipped.Get(message.Len() / 4) // as a rule
	b := bytes.NewBuffer((*data)[:0])
	if h.zip == nil {
		h.zip = gzip.NewWriter(b)
	} else {
		h.zip.Reset(b)
	}
	if _, err := h.zip.Write(message.ReadOnlyData()); err != nil {
		return nil, err
	}
	if err := h.zip.Close(); err != nil {
		return nil, err
	}
	*data = b.Bytes()
	return mem.NewBuffer(data, &h.zipped), nil
}

// body reads a message, and holds it until it is closed, which may be after the
// answer came: a receiver need not read to the end. HTTP/2 closes what it still reads.
type body struct {
	mu      sync.Mutex
	left    bytes.Reader
	message mem.Buffer // nil once it is closed
}

func newBody(message mem.Buffer) *body {
	message.Ref()
	b := &body{message: message}
	b.left.Reset(message.ReadOnlyData())
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.message == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.left.Read(p)
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.message != nil {
		b.message.Free()
		b.message = nil
	}
	return nil
}

// reason is what a receiver says of why it did not take a message.
func reason(res *http.Response, said []byte) string {
	const enough = 256
	if res.Header.Get("Content-Type") == protobufType {
		var s spb.Status
		if proto.Unmarshal(said, &s) == nil {
			return s.GetMessage()
		}
		return ""
	}
	return string(bytes.TrimSpace(said[:min(len(said), enough)]))
}

func (h *overHTTP) close() { h.client.CloseIdleConnections() }

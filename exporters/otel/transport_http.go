package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

const protobufType = "application/x-protobuf"

// overHTTP is a transport by POST of protobuf.
type overHTTP struct {
	client   *http.Client
	endpoint *Endpoint
	agent    string
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

func (h *overHTTP) send(ctx context.Context, message, answer proto.Message) *failure {
	body, err := h.body(message)
	if err != nil {
		return &failure{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.endpoint.URL, body)
	if err != nil {
		return &failure{err: fmt.Errorf("request: %w", err)}
	}
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

// body is the message as it is sent.
func (h *overHTTP) body(message proto.Message) (io.Reader, error) {
	raw, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	if !h.endpoint.Gzip {
		return bytes.NewReader(raw), nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return bytes.NewReader(b.Bytes()), nil
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

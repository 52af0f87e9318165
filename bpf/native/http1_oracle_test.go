//go:build cgo && linux

package native

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/l7/operation"
)

// message is what net/http read. What ended it is not nil where it read no more.
type message struct {
	request    *http.Request
	response   *http.Response
	head, body int // bytes
	end        int // offset in the stream
	err        error
}

// oracle reads a stream with net/http.
type oracle struct {
	stream Stream
	source *bytes.Reader
	reader *bufio.Reader
	asked  int
}

func newOracle(s Stream) *oracle {
	source := bytes.NewReader(s.Bytes)
	return &oracle{stream: s, source: source, reader: bufio.NewReader(source)}
}

func (o *oracle) offset() int { return len(o.stream.Bytes) - o.source.Len() - o.reader.Buffered() }

// next reads a message with its body.
func (o *oracle) next() (m message) {
	var body io.ReadCloser
	begin := o.offset()
	if o.stream.Responses {
		kind := uint8(AskedPlain)
		if len(o.stream.Asked) > 0 {
			kind = o.stream.Asked[min(o.asked, len(o.stream.Asked)-1)]
		}
		method := map[uint8]string{AskedHead: "HEAD", AskedConnect: "CONNECT"}[kind]
		if m.response, m.err = http.ReadResponse(o.reader, &http.Request{Method: method}); m.err != nil {
			return m
		}
		if m.response.StatusCode >= 200 {
			o.asked++
		}
		body = m.response.Body
	} else {
		if m.request, m.err = http.ReadRequest(o.reader); m.err != nil {
			return m
		}
		body = m.request.Body
	}
	m.head = o.offset() - begin
	n, err := io.Copy(io.Discard, body)
	m.body, m.err, m.end = int(n), err, o.offset()
	return m
}

// differ says how what the parser told of a stream differs from what net/http
// read, as far as both read it.
func differ(h *HTTP1Run, s Stream) error {
	o := newOracle(s)
	var m message
	begin := 0
	for _, t := range run(h, s, Cut{}) {
		if t.Flags&FlagError != 0 {
			return nil
		}
		if t.Flags&FlagHead != 0 {
			// A body that breaks off breaks no head.
			if m = o.next(); m.request == nil && m.response == nil {
				return nil
			}
			if err := differHead(&t, m, s); err != nil {
				return fmt.Errorf("%v: %w", &t, err)
			}
		}
		if t.Flags&FlagSwitch != 0 {
			return nil
		}
		if t.Flags&FlagEnd != 0 {
			if m.err != nil {
				return nil
			}
			if int(t.At) != m.end || t.Total != uint64(m.end-begin) {
				return fmt.Errorf("%v: began at %d, net/http ends at %d", &t, begin, m.end)
			}
			begin = m.end
		}
	}
	return nil
}

func differHead(t *HTTP1Told, m message, s Stream) error {
	if t.BodyKind != BodyChunked && t.BodyKind != BodyClose && int(t.Head) != m.head {
		return fmt.Errorf("head of %d bytes", m.head)
	}
	if m.response != nil {
		return differResponse(t, m)
	}
	r := m.request
	// Of a long method only its first 8 bytes are told.
	if method := r.Method[:min(len(r.Method), max(8, len(t.Method())))]; method != t.Method() {
		return fmt.Errorf("method %s", r.Method)
	}
	if err := differPath(t, r); err != nil {
		return err
	}
	if version := t.Marks & MarkVersion1; r.ProtoMajor != 1 || r.ProtoMinor != int(version/MarkVersion1) {
		return fmt.Errorf("version %s", r.Proto)
	}
	if keep := t.Marks&MarkKeepAlive != 0; keep == r.Close {
		return fmt.Errorf("close %v", r.Close)
	}
	return differBody(t, r.ContentLength, r.TransferEncoding, m)
}

func differPath(t *HTTP1Told, r *http.Request) error {
	if r.Method == "CONNECT" {
		if len(r.RequestURI) <= len(t.PathBytes) && t.Path() != r.RequestURI {
			return fmt.Errorf("target %q", r.RequestURI)
		}
		return nil
	}
	if query := t.Marks&MarkQuery != 0; query != strings.Contains(r.RequestURI, "?") {
		return fmt.Errorf("target %q", r.RequestURI)
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if t.Marks&MarkAbsolute != 0 {
		path = "/" + strings.Join(strings.Split(path, "/")[3:], "/")
	}
	if t.Path() != path[:min(len(path), len(t.PathBytes))] {
		return fmt.Errorf("path %q", path)
	}
	if key := operation.Key(r.Method, path); key != t.Key {
		return fmt.Errorf("key %016x", key)
	}
	if read, err := url.PathUnescape(path); err != nil || read != r.URL.Path && r.URL.Path != "" {
		return fmt.Errorf("path %q is %q to net/http: %v", path, r.URL.Path, err)
	}
	return nil
}

func differResponse(t *HTTP1Told, m message) error {
	r := m.response
	if int(t.Status) != r.StatusCode {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	if t.Flags&FlagSwitch != 0 {
		return nil
	}
	return differBody(t, r.ContentLength, r.TransferEncoding, m)
}

func differBody(t *HTTP1Told, length int64, coding []string, m message) error {
	chunked := slices.Equal(coding, []string{"chunked"})
	switch t.BodyKind {
	case BodyLength:
		if length != int64(t.Body) || chunked {
			return fmt.Errorf("body of %d bytes, coding %q", length, coding)
		}
	case BodyChunked:
		if !chunked {
			return fmt.Errorf("coding %q", coding)
		}
	case BodyClose:
		if chunked || length != -1 {
			return fmt.Errorf("body of %d bytes, coding %q", length, coding)
		}
	default:
		if m.body != 0 {
			return fmt.Errorf("body of %d bytes", m.body)
		}
	}
	return nil
}

// fuzz holds one stream against net/http, and against itself in pieces.
func fuzz(t *testing.T, h *HTTP1Run, s Stream, cut uint64) {
	if len(s.Bytes) > 4096 {
		return
	}
	if err := differ(h, s); err != nil {
		t.Fatalf("%q: %v", s.Bytes, err)
	}
	want := tell(h, s, Cut{})
	state := h.State
	pieces := Cut{Window: int(cut%64) + 1, Poison: byte(cut >> 8)}
	for at := int(cut >> 16 & 15); at < len(s.Bytes); at += 1 + int(cut>>(20+at%40)&63) {
		if at > 0 {
			pieces.At = append(pieces.At, at)
		}
	}
	if len(pieces.At) > MaxCuts {
		pieces.At = pieces.At[:MaxCuts]
	}
	for _, cut := range []Cut{pieces, {Window: 1, Poison: pieces.Poison}} {
		if got := tell(h, s, cut); !slices.Equal(got, want) || h.State != state {
			t.Fatalf("%q, cut %+v:\n got %q, state %x\nwant %q, state %x", s.Bytes, cut, got, h.State, want, state)
		}
	}
}

func FuzzHTTP1Requests(f *testing.F) {
	for _, s := range samples(f) {
		if !s.Responses {
			f.Add(s.Bytes, uint64(len(s.Bytes)))
		}
	}
	h := new(HTTP1Run)
	f.Fuzz(func(t *testing.T, stream []byte, cut uint64) {
		fuzz(t, h, Stream{Bytes: stream, EOF: true}, cut)
	})
}

func FuzzHTTP1Responses(f *testing.F) {
	for _, s := range samples(f) {
		if s.Responses {
			f.Add(s.Bytes, uint16(s.argument()>>2), uint64(len(s.Bytes)))
		}
	}
	h := new(HTTP1Run)
	f.Fuzz(func(t *testing.T, stream []byte, asked uint16, cut uint64) {
		s := Stream{Bytes: stream, Responses: true, EOF: true}
		for range 3 {
			s.Asked = append(s.Asked, uint8(asked&7)%5)
			asked >>= 3
		}
		fuzz(t, h, s, cut)
	})
}

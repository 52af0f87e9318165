package shop

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestReadReply(t *testing.T) {
	for _, c := range []struct {
		in   string
		want any
		fail string // part of the error
	}{
		{in: "+OK\r\n", want: "OK"},
		{in: ":-7\r\n", want: int64(-7)},
		{in: "$5\r\na\r\nbc\r\n", want: "a\r\nbc"},
		{in: "$0\r\n\r\n", want: ""},
		{in: "$-1\r\n", want: nil},
		{in: "*2\r\n$1\r\nk\r\n:3\r\n", want: []any{"k", int64(3)}},
		{in: "*0\r\n", want: []any{}},
		{in: "-ERR no\r\n", fail: "redis: ERR no"},
		{in: "$5\r\nabc", fail: "EOF"},
		{in: "$1\r\nabc\r\n", fail: "without its end"},
		{in: "$999999999\r\n", fail: "too large"},
		{in: "*999999999\r\n", fail: "too large"},
		{in: strings.Repeat("*1\r\n", 9), fail: "too large"},
		{in: "$x\r\n", fail: "number"},
		{in: "OK\n", fail: "malformed"},
		{in: "\r\n", fail: "malformed"},
		{in: "?1\r\n", fail: "unknown"},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(c.in)), 0)
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%q: error %v, want one with %q", c.in, err, c.fail)
			}
		} else if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %#v, %v, want %#v", c.in, got, err, c.want)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add("*2\r\n$1\r\nk\r\n:3\r\n")
	f.Add("-ERR\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		v, err := readReply(bufio.NewReader(strings.NewReader(in)), 0)
		if s, ok := v.(string); ok && err == nil && len(s) > len(in) {
			t.Errorf("%d bytes out of %d", len(s), len(in))
		}
	})
}

// fakeRedis answers each connection with the given texts, one for each command.
func fakeRedis(t *testing.T, connections ...[]string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for _, replies := range connections {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for _, r := range replies {
				// A command has the form of a reply, so the same reader serves.
				if _, err := readReply(in, 0); err != nil {
					break
				}
				c.Write([]byte(r))
			}
			c.Close()
		}
	}()
	return ln.Addr().String()
}

func TestRedisSurvivesErrorsAndReconnects(t *testing.T) {
	db := &redis{addr: fakeRedis(t, []string{"-ERR wrong\r\n", ":1\r\n", "garbage\r\n"}, []string{"+PONG\r\n"})}
	if _, err := db.do(t.Context(), "GET", "x"); err == nil {
		t.Error("the server's error was not reported")
	} else if _, ok := errors.AsType[redisError](err); !ok {
		t.Errorf("%T for an error of the server", err)
	}
	if v, err := db.do(t.Context(), "INCR", "x"); err != nil || v != int64(1) {
		t.Errorf("%v, %v on the same connection", v, err)
	}
	if _, err := db.do(t.Context(), "GET", "x"); err == nil {
		t.Error("garbage was taken for a reply")
	}
	if v, err := db.do(t.Context(), "PING"); err != nil || v != "PONG" {
		t.Errorf("%v, %v after a new connection", v, err)
	}
}

func TestCart(t *testing.T) {
	addr := fakeRedis(t, []string{":2\r\n", ":1\r\n", "*2\r\n$1\r\n7\r\n$1\r\n2\r\n"})
	h := cartHandler(&redis{addr: addr})
	for _, c := range []struct{ method, path, want string }{
		{http.MethodPost, "/cart/u1/7", `{"count":2}`},
		{http.MethodGet, "/cart/u1", `{"7":"2"}`},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != c.want {
			t.Errorf("%s %s: %d %s, want %s", c.method, c.path, w.Code, w.Body, c.want)
		}
	}
}

package shop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// dialTimeout ends attempts to peers that do not answer at all.
const dialTimeout = 3 * time.Second

func dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "tcp", addr)
}

// runRefused wants to leave mail where no mail server is.
func runRefused(ctx context.Context, args []string) error {
	fs := flags("refused")
	addr := fs.String("addr", "web:25", "host:port that refuses")
	period := fs.Duration("every", 3*time.Second, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var seen note
	return every(ctx, *period, func() {
		c, err := dial(ctx, *addr)
		if err == nil {
			c.Close()
		}
		seen.say("mail server", err)
	})
}

// runReset hangs up in the middle of its request, so that the server gets a reset.
func runReset(ctx context.Context, args []string) error {
	fs := flags("reset")
	addr := fs.String("addr", "nginx:80", "host:port of an HTTP server")
	period := fs.Duration("every", 4*time.Second, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var seen note
	return every(ctx, *period, func() {
		seen.say("request left half-way", hangUp(ctx, *addr))
	})
}

func hangUp(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /api/orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 400\r\n\r\n{\"cust"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(200 * time.Millisecond): // let the server read it
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		return tcp.SetLinger(0) // close sends RST
	}
	return nil
}

// runLookup asks for a name that nobody has.
func runLookup(ctx context.Context, args []string) error {
	fs := flags("lookup")
	name := fs.String("name", "lists.shop.invalid.", "ends with a dot, so that no search list is tried")
	period := fs.Duration("every", 5*time.Second, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var seen note
	return every(ctx, *period, func() {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		_, err := net.DefaultResolver.LookupHost(ctx, *name)
		seen.say("address of "+*name, err)
	})
}

// runIdle stays connected and says nothing, as push channels do.
func runIdle(ctx context.Context, args []string) error {
	fs := flags("idle")
	addr := fs.String("addr", "web:8081", "host:port to stay connected to")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var seen note
	return every(ctx, time.Second, func() {
		c, err := dial(ctx, *addr)
		seen.say("news channel", err)
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the server ends it
	})
}

// runBackup fetches one big body again and again.
func runBackup(ctx context.Context, args []string) error {
	fs := flags("backup")
	url := fs.String("url", "http://orders:8080/export", "")
	period := fs.Duration("every", 15*time.Second, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var seen note
	return every(ctx, *period, func() {
		n, err := fetch(ctx, *url)
		seen.say(fmt.Sprintf("backup of %d bytes", n), err)
	})
}

func fetch(ctx context.Context, url string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

package shop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// click is one thing that a shopper does.
type click struct {
	method, path, body string
}

// choose picks a click; dice is drawn from [0,100). Without a database there
// are no orders to make or to look at.
func choose(dice, user, thing int, orders bool) click {
	switch {
	case dice < 15:
		return click{http.MethodGet, "/", ""}
	case dice < 35:
		return click{http.MethodGet, "/api/products", ""}
	case dice < 60:
		return click{http.MethodGet, fmt.Sprintf("/api/products/%d", thing), ""}
	case dice < 70:
		return click{http.MethodGet, "/api/search?q=" + []string{"rod", "net", "night", "river"}[thing%4], ""}
	case dice < 80:
		return click{http.MethodPost, fmt.Sprintf("/api/cart/u%d/%d", user, thing), ""}
	case dice < 88 || !orders:
		return click{http.MethodGet, fmt.Sprintf("/api/cart/u%d", user), ""}
	case dice < 95:
		return click{http.MethodPost, "/api/orders", fmt.Sprintf(`{"customer":"u%d","items":%d}`, user, 1+thing%5)}
	default:
		return click{http.MethodGet, fmt.Sprintf("/api/orders/%d", thing), ""}
	}
}

// runLoad keeps a few shoppers clicking. Each does a handful of clicks on one
// connection, leaves, and comes back on a new one.
func runLoad(ctx context.Context, args []string) error {
	fs := flags("load")
	url := fs.String("url", "http://nginx", "")
	rate := fs.Float64("rate", 30, "clicks a second, all shoppers together")
	shoppers := fs.Int("shoppers", 6, "how many at the same time")
	orders := fs.Bool("orders", true, "the shop takes orders")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rate <= 0 || *shoppers <= 0 {
		return fmt.Errorf("rate and shoppers must be positive")
	}
	var done, failed atomic.Int64
	tokens := make(chan struct{}) // unbuffered: a slow shop is asked less, never in bursts
	for i := range *shoppers {
		go func() {
			for ctx.Err() == nil {
				shop(ctx, *url, i, *orders, tokens, &done, &failed)
			}
		}()
	}
	report := time.NewTicker(30 * time.Second)
	defer report.Stop()
	tick := time.NewTicker(time.Duration(float64(time.Second) / *rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-report.C:
			slog.Info("clicks", "done", done.Load(), "failed", failed.Load())
		case <-tick.C:
			select {
			case tokens <- struct{}{}:
			default:
			}
		}
	}
}

// shop is one visit: 3 to 10 clicks on one connection.
func shop(ctx context.Context, url string, user int, orders bool, tokens <-chan struct{}, done, failed *atomic.Int64) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for range 3 + rand.IntN(8) {
		select {
		case <-ctx.Done():
			return
		case <-tokens:
		}
		c := choose(rand.IntN(100), user, 1+rand.IntN(40), orders)
		if err := c.do(ctx, client, url); err != nil {
			failed.Add(1)
			continue
		}
		done.Add(1)
	}
}

func (c click) do(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, c.method, url+c.path, strings.NewReader(c.body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%s %s: status %d", c.method, c.path, resp.StatusCode)
	}
	return nil
}

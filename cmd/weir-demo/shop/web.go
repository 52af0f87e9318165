package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

type product struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
}

// catalogue is the same at every start, so that two screenshots compare.
func catalogue() []product {
	things := []string{"reel", "rod", "net", "float", "hook", "bait", "boots", "hat", "stool", "lamp"}
	kinds := []string{"plain", "river", "lake", "night"}
	var all []product
	for _, k := range kinds {
		for _, t := range things {
			all = append(all, product{len(all) + 1, k + " " + t, 4.5 + 3*float64(len(all))})
		}
	}
	return all
}

type web struct {
	cart, orders, search string
	products             []product
	client               *http.Client
	stats                *stats
}

func runWeb(ctx context.Context, args []string) error {
	w := web{products: catalogue(), client: newClient()}
	fs := flags("web")
	listen := fs.String("listen", ":8080", "")
	notify := fs.String("notify", ":8081", "where clients wait for news")
	statsd := fs.String("statsd", "", "host:port of statsd")
	fs.StringVar(&w.cart, "cart", "", "URL of cart")
	fs.StringVar(&w.orders, "orders", "", "URL of orders; empty where there is no database")
	fs.StringVar(&w.search, "search", "", "URL of search")
	if err := fs.Parse(args); err != nil {
		return err
	}
	w.stats = newStats("web", *statsd)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve(ctx, *listen, w.handler()) })
	g.Go(func() error { return serveNotify(ctx, *notify) })
	g.Go(func() error { return w.stats.run(ctx) })
	return g.Wait()
}

func (s *web) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.stats.count("requests")
			h(w, r)
		})
	}
	handle("GET /api/products", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.products)
	})
	handle("GET /api/products/{id}", s.product)
	handle("GET /api/search", func(w http.ResponseWriter, r *http.Request) {
		relay(w, r, s.client, http.MethodGet, s.search+"/search?q="+url.QueryEscape(r.FormValue("q")), "")
	})
	handle("GET /api/cart/{user}", func(w http.ResponseWriter, r *http.Request) {
		relay(w, r, s.client, http.MethodGet, s.cart+"/cart/"+url.PathEscape(r.PathValue("user")), "")
	})
	handle("POST /api/cart/{user}/{product}", func(w http.ResponseWriter, r *http.Request) {
		relay(w, r, s.client, http.MethodPost,
			s.cart+"/cart/"+url.PathEscape(r.PathValue("user"))+"/"+url.PathEscape(r.PathValue("product")), "")
	})
	handle("POST /api/orders", s.order)
	handle("GET /api/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		relay(w, r, s.client, http.MethodGet, s.orders+"/orders/"+url.PathEscape(r.PathValue("id")), "")
	})
	return mux
}

func (s *web) product(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > len(s.products) {
		writeError(w, http.StatusNotFound, fmt.Errorf("no such product"))
		return
	}
	writeJSON(w, http.StatusOK, s.products[id-1])
}

// order turns the user's cart into an order and clears it.
func (s *web) order(w http.ResponseWriter, r *http.Request) {
	var in order
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&in); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("order: %w", err))
		return
	}
	body, err := json.Marshal(in)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	s.stats.count("orders")
	relay(w, r, s.client, http.MethodPost, s.orders+"/orders", string(body))
}

// serveNotify keeps every connection open and says one line at its start: what a
// push channel without news looks like.
func serveNotify(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("notify listener: %w", err)
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("notify accept: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		go func() {
			defer stop()
			defer c.Close()
			fmt.Fprintf(c, "hello, no news since %s\n", time.Now().UTC().Format(time.RFC3339))
			_, _ = io.Copy(io.Discard, c) // until the client leaves
		}()
	}
}

package shop

import (
	"context"
	"net/http"
)

// cartTTL is how long redis keeps a cart that nobody touches, in seconds.
const cartTTL = "600"

func runCart(ctx context.Context, args []string) error {
	fs := flags("cart")
	listen := fs.String("listen", ":8080", "")
	addr := fs.String("redis", "redis:6379", "host:port of redis")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return serve(ctx, *listen, cartHandler(&redis{addr: *addr}))
}

func cartHandler(db *redis) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart/{user}", func(w http.ResponseWriter, r *http.Request) {
		reply, err := db.do(r.Context(), "HGETALL", "cart:"+r.PathValue("user"))
		if err != nil {
			writeError(w, http.StatusServiceUnavailable, err)
			return
		}
		items := map[string]string{}
		pairs, _ := reply.([]any)
		for i := 0; i+1 < len(pairs); i += 2 {
			k, _ := pairs[i].(string)
			v, _ := pairs[i+1].(string)
			items[k] = v
		}
		writeJSON(w, http.StatusOK, items)
	})
	mux.HandleFunc("POST /cart/{user}/{product}", func(w http.ResponseWriter, r *http.Request) {
		key := "cart:" + r.PathValue("user")
		n, err := db.do(r.Context(), "HINCRBY", key, r.PathValue("product"), "1")
		if err == nil {
			_, err = db.do(r.Context(), "EXPIRE", key, cartTTL)
		}
		if err != nil {
			writeError(w, http.StatusServiceUnavailable, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"count": n})
	})
	return mux
}

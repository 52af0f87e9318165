package shop

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

func runSearch(ctx context.Context, args []string) error {
	fs := flags("search")
	listen := fs.String("listen", ":8080", "")
	share := fs.Float64("slow", 0.25, "share of searches that are slow")
	from := fs.Duration("from", 300*time.Millisecond, "shortest delay of a slow one")
	to := fs.Duration("to", 800*time.Millisecond, "longest delay of a slow one")
	if err := fs.Parse(args); err != nil {
		return err
	}
	delay := func() time.Duration { return slowness(rand.Float64(), rand.Float64(), *share, *from, *to) }
	return serve(ctx, *listen, searchHandler(catalogue(), delay))
}

// slowness maps two draws of [0,1) to a delay: dice decides whether, spot how long.
func slowness(dice, spot, share float64, from, to time.Duration) time.Duration {
	if dice >= share {
		return 0
	}
	return from + time.Duration(spot*float64(to-from))
}

func searchHandler(products []product, delay func() time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(delay()):
		}
		found := []product{}
		for _, p := range products {
			if strings.Contains(p.Name, r.FormValue("q")) {
				found = append(found, p)
			}
		}
		writeJSON(w, http.StatusOK, found)
	})
	return mux
}

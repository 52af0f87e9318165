package shop

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// order is a row of the database and the JSON between the services.
type order struct {
	ID       int64  `json:"id"`
	Customer string `json:"customer"`
	Items    int    `json:"items"`
}

const schema = `CREATE TABLE IF NOT EXISTS orders (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	customer VARCHAR(64) NOT NULL,
	items INT NOT NULL,
	made TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`

func runOrders(ctx context.Context, args []string) error {
	fs := flags("orders")
	listen := fs.String("listen", ":8080", "")
	addr := fs.String("db", "mariadb:3306", "host:port of MariaDB")
	size := fs.Int64("export-bytes", 24<<20, "size of /export")
	rate := fs.Int64("export-rate", 4<<20, "bytes/s of /export")
	if err := fs.Parse(args); err != nil {
		return err
	}
	db, err := openOrders(*addr)
	if err != nil {
		return fmt.Errorf("database %s: %w", *addr, err)
	}
	defer db.Close()
	go createTable(ctx, db)
	return serve(ctx, *listen, ordersHandler(db, *size, *rate))
}

func openOrders(addr string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", addr
	cfg.User, cfg.Passwd, cfg.DBName = dbUser, dbPassword, dbName
	cfg.Timeout, cfg.ReadTimeout = 3*time.Second, 5*time.Second
	cfg.Logger = &mysql.NopLogger{} // what fails is answered as a 503
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(6)
	db.SetConnMaxLifetime(30 * time.Second) // so that log-ins are seen now and then
	return db, nil
}

// createTable tries until the database answers: it starts slower than this service.
func createTable(ctx context.Context, db *sql.DB) {
	var seen note
	for ctx.Err() == nil {
		_, err := db.ExecContext(ctx, schema)
		if seen.say("table orders", err); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func ordersHandler(db *sql.DB, size, rate int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&o); err != nil {
			writeError(w, http.StatusBadRequest, fmt.Errorf("order: %w", err))
			return
		}
		res, err := db.ExecContext(r.Context(), "INSERT INTO orders (customer, items) VALUES (?, ?)", o.Customer, o.Items)
		if err == nil {
			o.ID, err = res.LastInsertId()
		}
		if err != nil {
			writeError(w, http.StatusServiceUnavailable, err)
			return
		}
		writeJSON(w, http.StatusCreated, o)
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			writeError(w, http.StatusBadRequest, errors.New("order: the id is no number"))
			return
		}
		o := order{ID: id}
		err = db.QueryRowContext(r.Context(), "SELECT customer, items FROM orders WHERE id = ?", id).Scan(&o.Customer, &o.Items)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			writeError(w, http.StatusNotFound, errors.New("no such order"))
		case err != nil:
			writeError(w, http.StatusServiceUnavailable, err)
		default:
			writeJSON(w, http.StatusOK, o)
		}
	})
	mux.HandleFunc("GET /export", func(w http.ResponseWriter, r *http.Request) {
		export(w, r, size, rate)
	})
	return mux
}

// export streams size bytes at no more than rate bytes/s: a bulk transfer that
// leaves the machine usable.
func export(w http.ResponseWriter, r *http.Request, size, rate int64) {
	const ticks = 20 // chunks a second
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	chunk := make([]byte, max(rate/ticks, 1))
	for i := range chunk {
		chunk[i] = byte('a' + i%26)
	}
	t := time.NewTicker(time.Second / ticks)
	defer t.Stop()
	for size > 0 {
		n := min(size, int64(len(chunk)))
		if _, err := w.Write(chunk[:n]); err != nil {
			return
		}
		size -= n
		select {
		case <-r.Context().Done():
			return
		case <-t.C:
		}
	}
}

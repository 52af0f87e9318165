package prom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// CheckWebConfig reads a web configuration file, as Prometheus and its exporters
// take it (TLS, clients' certificates, basic authentication), and the certificates
// in it. An empty path is right: then there is neither.
func CheckWebConfig(path string) error {
	if err := toolkit.Validate(path); err != nil {
		return fmt.Errorf("web configuration %s: %w", path, err)
	}
	return nil
}

// Serve answers at l with h until ctx ends, and then closes l. With a web
// configuration it asks for what that says; the file and its certificates are
// read anew as they change. It blocks; an ended ctx is no error.
func Serve(ctx context.Context, l net.Listener, h http.Handler, webConfig string, log *slog.Logger) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers' broken handshakes
	}
	stop := context.AfterFunc(ctx, func() {
		quick, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(quick) != nil {
			srv.Close()
		}
	})
	defer stop()
	defer l.Close() // where the configuration is refused nobody else does
	err := serve(l, srv, webConfig, log)
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func serve(l net.Listener, srv *http.Server, webConfig string, log *slog.Logger) error {
	if webConfig == "" {
		return srv.Serve(l)
	}
	return toolkit.Serve(l, srv, &toolkit.FlagConfig{WebConfigFile: &webConfig}, log)
}

package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// newLogger writes to standard error as --log-format and --log-level say.
func (a *app) newLogger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(a.cfg.logLevel)) // its flag knows only slog's names
	opts := &slog.HandlerOptions{Level: level}
	_, journal := a.lookup("JOURNAL_STREAM")
	switch {
	case a.cfg.logFormat == "json":
		return slog.New(slog.NewJSONHandler(a.err, opts))
	case a.cfg.logFormat == "auto" && journal && !a.errTTY:
		return slog.New(newJournalHandler(a.err, opts))
	}
	return slog.New(slog.NewTextHandler(a.err, opts))
}

// journalHandler puts the priority before each line in the form that systemd
// takes from a service's standard error (sd-daemon(3)), and leaves out the time,
// which the journal has.
type journalHandler struct {
	slog.Handler // writes to line
	shared       *journal
}

// journal is what all handlers derived from one share.
type journal struct {
	mu   sync.Mutex
	line bytes.Buffer
	w    io.Writer
}

func newJournalHandler(w io.Writer, opts *slog.HandlerOptions) slog.Handler {
	j := &journal{w: w}
	o := *opts
	o.ReplaceAttr = func(groups []string, attr slog.Attr) slog.Attr {
		if len(groups) == 0 && attr.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return attr
	}
	return journalHandler{slog.NewTextHandler(&j.line, &o), j}
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	h.shared.line.Reset()
	h.shared.line.WriteString(priority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.shared.w.Write(h.shared.line.Bytes())
	return err
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attrs), h.shared}
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.shared}
}

// priority is syslog's, in the brackets that systemd looks for.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// discardLogger is for work whose faults are shown in another way.
func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func testApp(env map[string]string) (*app, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, lookup: func(k string) (string, bool) {
		v, ok := env[k]
		return v, ok
	}}
	a.cfg.logFormat, a.cfg.logLevel = "auto", "info"
	return a, &out, &errs
}

func TestLogFormats(t *testing.T) {
	a, _, errs := testApp(nil)
	a.cfg.logFormat = "json"
	a.newLogger().Warn("x", "k", "v")
	var m map[string]any
	if err := json.Unmarshal(errs.Bytes(), &m); err != nil || m["level"] != "WARN" || m["k"] != "v" {
		t.Errorf("json: %q: %v", errs, err)
	}

	a, _, errs = testApp(nil)
	a.cfg.logLevel = "warn"
	log := a.newLogger()
	log.Info("hidden")
	log.Error("shown")
	if s := errs.String(); !strings.Contains(s, "msg=shown") || strings.Contains(s, "hidden") || !strings.Contains(s, "time=") {
		t.Errorf("text: %q", s)
	}
}

func TestJournal(t *testing.T) {
	a, _, errs := testApp(map[string]string{"JOURNAL_STREAM": "8:1"})
	a.cfg.logLevel = "debug"
	log := a.newLogger().With("a", 1).WithGroup("g")
	log.Log(t.Context(), slog.LevelDebug, "d", "b", 2)
	log.Info("i")
	log.Warn("w")
	log.Error("e")
	want := "<7>level=DEBUG msg=d a=1 g.b=2\n<6>level=INFO msg=i a=1\n<4>level=WARN msg=w a=1\n<3>level=ERROR msg=e a=1\n"
	if errs.String() != want {
		t.Errorf("got %q, want %q", errs, want)
	}
}

package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsAreForRoot(t *testing.T) {
	var said bytes.Buffer
	a := &app{log: slog.New(slog.NewTextHandler(&said, nil))}
	if err := a.admitSecrets(1000); err != nil || said.Len() > 0 {
		t.Fatalf("without --unredacted: %v, %q", err, said.String())
	}
	a.cfg.unredacted = true
	if err := a.admitSecrets(1000); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("--unredacted for a user: %v", err)
	}
	if err := a.admitSecrets(0); err != nil || !strings.Contains(said.String(), "unredacted") {
		t.Errorf("--unredacted for root: %v, said %q", err, said.String())
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// stateFile is where the file that a service sees at inside lies on the host.
func stateFile(stateDir string, s service, inside string) string {
	return filepath.Join(stateDir, s.name+"-"+filepath.Base(inside))
}

// writeFiles puts the files of a service where they can be mounted from.
func writeFiles(stateDir string, s service) error {
	for inside, text := range s.files {
		if err := os.WriteFile(stateFile(stateDir, s, inside), []byte(text), 0o644); err != nil {
			return fmt.Errorf("file of %s: %w", s.name, err)
		}
	}
	return nil
}

package enforce

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/seed79351815/weir/enforce/internal/disk"
	"github.com/seed79351815/weir/enforce/policy"
)

// store is a directory: state.json, and the texts of policies as they were given,
// each under its digest. Files are replaced at once or not at all.
type store struct{ dir string }

const (
	maxState  = 64 << 20
	maxSource = 16 << 20
)

var validSource = regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString

// openStore reads what is kept in dir, which is made where it is missing.
func openStore(dir string, now time.Time) (*store, *state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("directory of policies: %w", err)
	}
	s := &store{dir}
	st, err := s.load(now)
	if err != nil {
		return nil, nil, fmt.Errorf("policies: %w", err)
	}
	return s, st, nil
}

// parseState reads what save has written. It is strict: what is enforced must not
// depend on a guess.
func parseState(data []byte) (*state, error) {
	st := &state{}
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("state.json: %w", err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("state.json: version %d, this weir reads version %d", st.Version, stateVersion)
	}
	for i := range st.History {
		if len(st.History[i].Policies) > maxPolicies {
			return nil, fmt.Errorf("state.json: revision %d: more than %d policies", st.History[i].Number, maxPolicies)
		}
		for _, p := range st.History[i].Policies {
			if !validSource(p.Source) {
				return nil, fmt.Errorf("state.json: revision %d: policy %q: source %q is no digest", st.History[i].Number, p.Name, p.Source)
			}
			if p.Mode != policy.ModeAudit && p.Mode != policy.ModeEnforce {
				return nil, fmt.Errorf("state.json: revision %d: policy %q: unknown mode %q", st.History[i].Number, p.Name, p.Mode)
			}
		}
	}
	return st, nil
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return data, err
}

// keep writes a text and gives its digest.
func (s *store) keep(text []byte) (string, error) {
	sum := sha256.Sum256(text)
	name := hex.EncodeToString(sum[:])
	if _, err := s.source(name); err == nil {
		return name, nil
	}
	// It is new, or was damaged and is made good.
	if err := disk.Replace(s.path(name), text); err != nil {
		return "", fmt.Errorf("keep the text of a policy: %w", err)
	}
	return name, nil
}

// source gives a text that was kept. One that was changed since is refused: its
// digest is its name.
func (s *store) source(name string) ([]byte, error) {
	data, err := readBounded(s.path(name), maxSource)
	if err != nil {
		return nil, fmt.Errorf("text of a policy: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != name {
		return nil, fmt.Errorf("text of a policy: %s is not as it was given", s.path(name))
	}
	return data, nil
}

func (s *store) path(source string) string { return filepath.Join(s.dir, source+".yaml") }

// save writes the state, and then takes out the texts that it does not name.
func (s *store) save(st *state) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	if err := disk.Replace(s.statePath(), append(data, '\n')); err != nil {
		return fmt.Errorf("save policies: %w", err)
	}
	s.tidy(st)
	return nil
}

// tidy is no part of what must succeed: what stays is taken out another time. What
// was set aside may name any text.
func (s *store) tidy(st *state) {
	if s.aside() != nil {
		return
	}
	used := map[string]bool{}
	for i := range st.History {
		for _, p := range st.History[i].Policies {
			used[p.Source] = true
		}
	}
	all, _ := filepath.Glob(filepath.Join(s.dir, "*.yaml"))
	for _, path := range all {
		name := filepath.Base(path)
		name = name[:len(name)-len(".yaml")]
		if validSource(name) && !used[name] {
			_ = os.Remove(path)
		}
	}
}

package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/seed79351815/weir/enforce/internal/disk"
)

const (
	version = 1
	maxFile = 32 << 20 // bytes; a Baseline that is full has fewer
)

// SetAside is a file that could not be understood, and where it is now.
type SetAside struct {
	Path   string
	Reason string
}

// Read reads a Baseline as Write has written it. What is not one, or not within
// its bounds, is an error.
func Read(in io.Reader) (*Baseline, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	return parse(data)
}

// Write writes the Baseline. Equal ones give equal bytes.
func (b *Baseline) Write(out io.Writer) error {
	data, err := b.encode()
	if err != nil {
		return err
	}
	if _, err := out.Write(data); err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	return nil
}

func (b *Baseline) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encode baseline: %w", err)
	}
	return out.Bytes(), nil
}

func parse(data []byte) (*Baseline, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("baseline: larger than %d bytes", maxFile)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if head.Version != version {
		return nil, fmt.Errorf("baseline: version %d, this weir reads version %d", head.Version, version)
	}
	b := newBaseline()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	return b, nil
}

// load reads a file; where there is none it is an empty Baseline.
func load(path string, now time.Time) (*Baseline, *SetAside, error) {
	if path == "" {
		return newBaseline(), nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newBaseline(), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open baseline: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read baseline: %w", err)
	}
	b, reason := parse(data)
	if reason == nil {
		return b, nil, nil
	}
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(path, aside); err != nil {
		return nil, nil, fmt.Errorf("set baseline aside: %w", err)
	}
	return newBaseline(), &SetAside{aside, reason.Error()}, nil
}

// Save writes the file if anything has changed since it was written. The file is
// the old one or the new one, whenever weir ends. It blocks for the disk, but
// holds Consume up only while the content is encoded.
func (l *Learner) Save() error {
	if l.cfg.Path == "" {
		return nil
	}
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	if !l.dirty {
		l.mu.Unlock()
		return nil
	}
	data, err := l.taker.encode()
	l.taker.recount()
	l.dirty = err != nil
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := disk.Replace(l.cfg.Path, data); err != nil {
		l.mu.Lock()
		l.dirty = true
		l.mu.Unlock()
		return fmt.Errorf("save baseline: %w", err)
	}
	return nil
}

// Baseline is a copy of what was learned so far.
func (l *Learner) Baseline() (*Baseline, error) {
	l.mu.Lock()
	l.expire(l.now())
	data, err := l.taker.encode()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return parse(data)
}

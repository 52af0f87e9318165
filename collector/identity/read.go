package identity

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// errTooLarge is a file that is larger than anything of its kind should be.
var errTooLarge = errors.New("file is larger than expected")

// readBounded reads a whole regular file of at most limit bytes. It does not
// block on what is no file.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: %w", path, errTooLarge)
	}
	return b, nil
}

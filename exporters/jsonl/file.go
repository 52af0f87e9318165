package jsonl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// file is the one that is written. size is where its last whole batch ends.
type file struct {
	*os.File
	size int64
	born time.Time
}

// openFile opens a regular file to append to. Anything else, such as a pipe that
// nobody reads, could stop who opens it.
func openFile(path string, now time.Time) (*file, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f, info.Size(), birth(f, now)}, nil
}

// birth is when a file was made; now where the file system does not tell.
func birth(f *os.File, now time.Time) time.Time {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return now
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
}

// write appends lines. What a full disk took of them is cut off again.
func (f *file) write(lines []byte) error {
	_, err := f.Write(lines)
	if err == nil {
		f.size += int64(len(lines))
		return nil
	}
	return errors.Join(err, f.Truncate(f.size))
}

// move renames a file. That there is none is no fault.
func move(from, to string) error {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove removes a file. That there is none is no fault.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

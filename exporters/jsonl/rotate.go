package jsonl

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// suffix is that of compressed files.
const suffix = ".gz"

// ready makes sure that there is a file with room for n bytes. A file holds at least
// one batch, however large.
func (l *Log) ready(n int64) error {
	if l.reopen.Swap(false) && l.file != nil {
		if err := l.file.Close(); err != nil {
			return err
		}
		l.file = nil
	}
	now := l.cfg.Now()
	if l.file != nil && n > 0 && l.file.size > 0 {
		full := l.cfg.Size > 0 && l.file.size+n > l.cfg.Size
		old := l.cfg.Age > 0 && now.Sub(l.file.born) >= l.cfg.Age
		if full || old {
			if err := l.rotate(); err != nil {
				return err
			}
		}
	}
	if l.file == nil {
		var err error
		if l.file, err = openFile(l.cfg.Path, now); err != nil {
			return err
		}
	}
	return nil
}

// rotate gives the present file a number, and those that have one the next.
func (l *Log) rotate() error {
	l.zipped.Wait() // its file is about to be renamed
	err := l.file.Close()
	l.file = nil
	if err != nil {
		return err
	}
	if l.cfg.Keep <= 0 {
		return remove(l.cfg.Path)
	}
	for _, end := range []string{"", suffix} {
		if err := remove(l.numbered(l.cfg.Keep) + end); err != nil {
			return err
		}
		for i := l.cfg.Keep - 1; i > 0; i-- {
			if err := move(l.numbered(i)+end, l.numbered(i+1)+end); err != nil {
				return err
			}
		}
	}
	if err := move(l.cfg.Path, l.numbered(1)); err != nil {
		return err
	}
	if l.cfg.Compress {
		l.zipped.Go(func() {
			if err := compress(l.numbered(1)); err != nil {
				l.cfg.Logger.Warn("an older flow log stays as it is: it could not be compressed", "file", l.numbered(1), "error", err)
			}
		})
	}
	return nil
}

func (l *Log) numbered(i int) string { return fmt.Sprintf("%s.%d", l.cfg.Path, i) }

// compress puts a compressed file in the place of another. Where that fails, for
// want of room, the file stays as it is: it can be read all the same.
func compress(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	part := path + suffix + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	err = errors.Join(err, z.Close(), out.Close())
	if err == nil {
		err = os.Rename(part, path+suffix)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Remove(path)
}

package printer

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Foreground colours, as SGR parameters.
const (
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
	cyan    = "36"
)

func (p *Printer) color(code, text string) string {
	if !p.o.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// UseColor decides what --color means for output to w: "always", "never", or
// "auto", which is yes on a terminal unless NO_COLOR is set or the terminal is
// dumb. env looks up the environment.
func UseColor(when string, w io.Writer, env func(string) string) (bool, error) {
	switch when {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto", "":
		return env("NO_COLOR") == "" && env("TERM") != "dumb" && isTerminal(w), nil
	}
	return false, errors.New("--color " + when + ": must be auto, always or never")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

package ui

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"

	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"
	"golang.org/x/sys/unix"
)

// ErrNoTerminal is wrapped by Run's error when there is no terminal that a
// screen can be drawn on: output goes to a pipe or a file, or TERM is dumb,
// empty or unknown. The caller can write lines instead.
var ErrNoTerminal = errors.New("no terminal to draw on")

// openScreen initialises the screen of cfg, or the terminal's.
func openScreen(cfg Config) (tcell.Screen, error) {
	s := cfg.Screen
	if s == nil {
		var err error
		if s, err = terminalScreen(); err != nil {
			return nil, err
		}
	}
	if err := s.Init(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	for r, plain := range fallbacks() {
		s.RegisterRuneFallback(r, plain)
	}
	if cfg.Mouse {
		s.EnableMouse(tcell.MouseButtonEvents)
	}
	return s, nil
}

func terminalScreen() (tcell.Screen, error) {
	if _, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS); err != nil {
		return nil, fmt.Errorf("%w: standard output is not a terminal", ErrNoTerminal)
	}
	term := os.Getenv("TERM")
	if term == "" || term == "dumb" {
		return nil, fmt.Errorf("%w: TERM is %q", ErrNoTerminal, term)
	}
	info, err := tcell.LookupTerminfo(term)
	if err != nil {
		return nil, fmt.Errorf("%w: TERM=%s: %w", ErrNoTerminal, term, err)
	}
	s, err := tcell.NewTerminfoScreenFromTtyTerminfo(nil, unpadded(info))
	if err != nil {
		return nil, fmt.Errorf("%w: TERM=%s: %w", ErrNoTerminal, term, err)
	}
	return s, nil
}

var padding = regexp.MustCompile(`\$<[0-9.]+[*/]*>`)

// unpadded is a terminal's description without the pauses that its hardware
// needed. tcell keeps them: 5 ms for each move of a vt100's cursor make a second
// for a frame.
func unpadded(info *terminfo.Terminfo) *terminfo.Terminfo {
	out := *info
	fields := reflect.ValueOf(&out).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String && f.CanSet() {
			f.SetString(padding.ReplaceAllString(f.String(), ""))
		}
	}
	return &out
}

// themeFor chooses by the configuration, the environment and what the terminal
// can do.
func themeFor(cfg Config, s tcell.Screen) theme {
	if cfg.NoColor || os.Getenv("NO_COLOR") != "" || s.Colors() < 8 {
		return monoTheme()
	}
	return colourTheme()
}

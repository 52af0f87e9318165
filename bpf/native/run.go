package native

// Run is one stream and what a parser tells of it: drive.h's struct run, byte for
// byte, in the kernel's map too. It is large: use one many times.
type Run[State, Out, Capture, Told any] struct {
	Argument uint32 // as the parser's own type says
	Len      uint32 // of Stream
	Window   uint32 // bytes shown at once, at most
	Repeat   uint32 // runs; the results are the last one's
	EOF      bool   // tell the end, too
	Plain    bool   // leave out Poison, which costs time
	Poison   byte   // what the parser sees behind the bytes that it is shown
	_        byte

	At    uint32 // bytes shown or skipped
	Cut   uint32 // of Cuts, the next
	Steps uint32 // calls of the parser
	Notes uint32 // what it told: so many of Told, if there is room
	_     uint32
	NS    uint64 // of all runs

	State   State
	Out     Out
	Capture Capture
	Told    Told
	Cuts    [MaxCuts + 1]uint32 // offsets that no window reaches over, in order; the rest all ones
	Shown   [512]byte
	Stream  [MaxStream + 192]byte
}

// Load puts a stream into r and makes the rest ready for one run. It keeps
// nothing of its arguments. What is beyond MaxStream and MaxCuts is cut off.
func (r *Run[State, Out, Capture, Told]) Load(stream []byte, argument uint32, cut Cut) {
	var state State
	var out Out
	var capture Capture
	r.State, r.Out, r.Capture = state, out, capture
	r.Argument, r.Window, r.Repeat, r.EOF, r.Plain, r.Poison = argument, 128, 1, true, false, cut.Poison
	if cut.Window > 0 {
		r.Window = uint32(cut.Window)
	}
	n := copy(r.Stream[:MaxStream], stream)
	clear(r.Stream[n:])
	r.Len = uint32(n)
	for i := range r.Cuts {
		r.Cuts[i] = ^uint32(0)
	}
	for i, at := range cut.At[:min(len(cut.At), MaxCuts)] {
		r.Cuts[i] = uint32(at)
	}
}

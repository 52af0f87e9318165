package native

// What the driver in C holds: DRIVE_STREAM, DRIVE_CUTS less the one that ends them, DRIVE_TOLD of HTTP/1.
const (
	MaxStream = 65536
	MaxCuts   = 1023
	MaxTold   = 256
)

// Stream is what one end of a connection sent.
type Stream struct {
	Name  string
	Bytes []byte
	// Responses says that these are responses, to the requests in Asked (at most
	// ten): the last one stays.
	Responses bool
	Asked     []uint8
	// Held leaves requests that may switch protocols unanswered; else the answer is
	// no, at once.
	Held bool
	// EOF ends the stream after the last byte.
	EOF bool
}

// argument is what http1_drive.h takes.
func (s *Stream) argument() uint32 {
	const release = 2
	argument := uint32(0)
	if !s.Held {
		argument = release
	}
	if s.Responses {
		argument |= 1
	}
	asked := s.Asked
	if asked == nil {
		asked = []uint8{AskedPlain}
	}
	for i := range 10 {
		argument |= uint32(asked[min(i, len(asked)-1)]) << (2 + 3*i)
	}
	return argument
}

// Cut is how a stream is shown: windows of at most Window bytes (0 for the
// largest), none over an offset in At, which are in order. Poison is behind what
// is shown.
type Cut struct {
	Window int
	At     []int
	Poison byte
}

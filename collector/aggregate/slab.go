package aggregate

// slab holds the entries in chunks, so that it grows without copying and an
// entry keeps its place. Slot 0 is never given away: 0 means none.
//
// The entries in use form a list by when they were last heard of.
type slab struct {
	chunks         []*[chunkSize]entry
	free           uint32 // head of the free list, linked through newer
	top            uint32 // slots that were ever used
	used           int
	oldest, newest uint32
}

const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

func newSlab() slab { return slab{top: 1} }

func (s *slab) at(i uint32) *entry { return &s.chunks[i>>chunkBits][i&(chunkSize-1)] }

// take gives a zeroed entry, which is the newest, and its slot.
func (s *slab) take() (uint32, *entry) {
	i := s.free
	if i != 0 {
		s.free = s.at(i).newer
	} else {
		i = s.top
		s.top++
		if int(i>>chunkBits) == len(s.chunks) {
			s.chunks = append(s.chunks, new([chunkSize]entry))
		}
	}
	e := s.at(i)
	*e = entry{gen: e.gen + 1, live: true}
	s.push(i, e)
	s.used++
	return i, e
}

// give takes a slot back. References with the entry's gen are void from now on.
func (s *slab) give(i uint32) {
	e := s.at(i)
	s.unlink(e)
	*e = entry{gen: e.gen + 1, newer: s.free}
	s.free = i
	s.used--
}

func (s *slab) push(i uint32, e *entry) {
	e.older, e.newer = s.newest, 0
	if s.newest != 0 {
		s.at(s.newest).newer = i
	} else {
		s.oldest = i
	}
	s.newest = i
}

func (s *slab) unlink(e *entry) {
	if e.older != 0 {
		s.at(e.older).newer = e.newer
	} else {
		s.oldest = e.newer
	}
	if e.newer != 0 {
		s.at(e.newer).older = e.older
	} else {
		s.newest = e.older
	}
}

// touch makes the entry in slot i the newest.
func (s *slab) touch(i uint32, e *entry) {
	if s.newest != i {
		s.unlink(e)
		s.push(i, e)
	}
}

// ref is a slot at a time: it is void once the entry has left.
type ref struct{ slot, gen uint32 }

// get is nil for a void reference.
func (s *slab) get(r ref) *entry {
	if e := s.at(r.slot); e.live && e.gen == r.gen {
		return e
	}
	return nil
}

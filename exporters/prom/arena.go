package prom

// arena cuts many small things out of few large pieces of memory, which are free
// again when nobody holds anything of them.
type arena[T any] struct{ rest []T }

const arenaPiece = 256

// take is n zero values.
func (a *arena[T]) take(n int) []T {
	if n > len(a.rest) {
		a.rest = make([]T, max(n, arenaPiece))
	}
	out := a.rest[:n:n]
	a.rest = a.rest[n:]
	return out
}

// of is where v is kept.
func (a *arena[T]) of(v T) *T {
	p := &a.take(1)[0]
	*p = v
	return p
}

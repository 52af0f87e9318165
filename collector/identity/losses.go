package identity

// losses count what a full table turned away, by reason.
type losses map[string]uint64

func (l losses) add(reason string) { l[reason]++ }

package bpf

// Attached is how many programs are at work. It must not be called beside or
// after Close.
func (c *Capture) Attached() int { return len(c.links) }

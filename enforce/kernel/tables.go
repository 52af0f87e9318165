package kernel

// Tables says how full the kernel's tables of policies are.
type Tables struct {
	Fill []Fill
	// Homeless counts the cgroups that came when there was no room for one more,
	// since the tables were made.
	Homeless uint64
	// Shut says that nothing passes of cgroups that have no place, homeless ones
	// among them: whose they are cannot be told. An Apply that gives all of them a
	// place ends it.
	Shut bool
}

// Fill is how full one table is.
type Fill struct {
	Table   string
	Entries uint64
	Max     uint64
}

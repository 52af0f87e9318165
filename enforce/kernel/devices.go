package kernel

// Devices says where what goes past the IP stack is judged: frames of packet
// sockets, at the network devices of the workloads that rules speak of.
type Devices struct {
	Namespaces int      // network namespaces
	Devices    int      // in them, with the program at work
	Cables     int      // with the program at work at the host's end
	Early      uint64   // frames that new cables had carried before they were covered, at most: also those of the kernel itself
	Uncovered  []string // what could not be covered, and why
}

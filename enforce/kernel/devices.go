package kernel

// Devices says where what goes past the IP stack is judged: frames of packet
// sockets, at the network devices of the workloads that rules speak of.
type Devices struct {
	Namespaces int      // network namespaces
	Devices    int      // in them, with the program at work
	Uncovered  []string // what could not be covered, and why
}

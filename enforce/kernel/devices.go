package kernel

// Devices says where what goes past the IP stack is judged: frames of packet
// sockets, at the network devices of the workloads that rules speak of.
type Devices struct {
	Namespaces int      // network namespaces
	Devices    int      // in them, with the program at work
	Cables     int      // with the program at work at the host's end
	Early      uint64   // frames that new cables had carried before they were covered, at most: also those of the kernel itself
	Uncovered  []string // what could not be covered, and why
	Late       []LateDevice
}

// LateDevice is a network device of workloads that is covered only some time after
// it came, so that frames which they sent by it sooner were not judged: it is no
// cable, whose other end is covered before anything runs at this one.
type LateDevice struct {
	Cgroups []uint64 // of the workloads in its network namespace that rules of egress speak of; none: everyone's do
	Name    string
	Kind    string // as the kernel calls it: "macvlan", "ipvlan", "bridge"
}

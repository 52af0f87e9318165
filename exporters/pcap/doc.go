// Package pcap writes packets into a pcapng file
// (draft-ietf-opsawg-pcapng), which Wireshark and tshark read. Packets begin with
// their IP header (LINKTYPE_RAW). Each has a comment that says whose it is and what
// became of it.
package pcap

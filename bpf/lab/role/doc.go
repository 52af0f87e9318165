// Package role holds the small programs that tests run on a lab's hosts and in
// containers: servers and clients that count what they did, so that a test can
// compare their account with what weir saw.
//
// A role reads nothing but its Spec. It prints one Ready line when it has
// reached the point that others wait for, and one Report line at its end; a
// server, and a client told to wait, ends when its standard input is closed.
package role

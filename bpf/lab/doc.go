// Package lab makes container-like hosts for tests in milliseconds: a network
// namespace on a bridge of its own, a cgroup v2 directory, and child processes
// that live in both and count what they do.
//
// It needs root. A test calls RequireRoot (New and NewDocker do it themselves):
// without privileges it skips and says why; where WEIR_TEST_PRIVILEGED=1 it
// fails instead, so that a run that was meant to be privileged cannot pass by
// skipping; where it is 0 it skips even if it could run.
//
// Nothing outlives the test: namespaces are held by file descriptors alone and
// have no name, cgroups are removed with their processes by
// t.Cleanup, and what a killed run left of them by the next New.
//
// A package that uses roles hands its TestMain to Main:
//
//	func TestMain(m *testing.M) { lab.Main(m) }
package lab

// Package whole tests and measures the built program as a user runs it: with
// real containers and servers, beside independent counts and, in benchmarks,
// beside a peer. docs/benchmarks.md has the results and the commands.
package whole

// Package layers holds no code: its tests check that every package imports only
// what its layer may, and the few rules about source files that a linter does
// not know. The tables in rules_test.go are the place to read, and to argue
// about, how weir is layered; docs/architecture.md says it in words.
package layers

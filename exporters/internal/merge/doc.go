// Package merge bounds what is written down of each flow. On a busy host thousands of
// flows a second are alike: the same two workloads, the same port, the same end. A
// Budget of records a second is told as they are, and the first of each kind; of those
// beyond it one of each kind is told some seconds later, with how many there were.
// Nothing is lost: each record is told, or counted by one that is.
package merge

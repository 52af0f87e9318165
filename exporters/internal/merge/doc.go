// Package merge bounds what is written down of each flow. On a busy host thousands of
// flows a second are alike: the same two workloads, the same port, the same end. A
// Budget of records a second is told as they are, and the first of each kind; of those
// beyond it the latest of each kind is told some seconds later, with how many there
// were. Nothing is lost, and each record is one told or one counted.
package merge

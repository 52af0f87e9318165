// Package simulate tells what policies would have done to traffic that was seen: a
// Gatherer takes the records, of a recording or of now, and Run judges them by
// the tables that the kernel decides by.
//
// Layer 7 is not judged, as the tables do not. A flow is judged as a whole and as
// its beginning: what an application would have done after a denial, nobody knows.
package simulate

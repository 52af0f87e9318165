// Package jsonl writes flows into a file, one JSON object a line: the lines that
// "weir observe -o json" prints. The file is rotated by size and age.
package jsonl

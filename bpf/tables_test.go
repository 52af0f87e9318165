package bpf

import (
	"testing"
	"time"
)

func TestReadingsKeepToTheirShare(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if !p.due(now) {
		t.Error("the first reading is not due")
	}
	p.took(now, 100*time.Millisecond)
	if p.due(now.Add(1900 * time.Millisecond)) {
		t.Error("a reading of 100 ms came back before two seconds were over")
	}
	if !p.due(now.Add(2 * time.Second)) {
		t.Error("a reading of 100 ms does not come back after two seconds")
	}
}

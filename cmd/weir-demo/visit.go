package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// wait keeps the shop open for the configured time, or until ctx ends.
func (d *demo) wait(ctx context.Context) error {
	var over <-chan time.Time
	if d.cfg.duration > 0 {
		over = time.After(d.cfg.duration)
	} else {
		d.say.say("interrupt it to end")
	}
	check := time.NewTicker(10 * time.Second)
	defer check.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case <-check.C:
			if text := d.epitaphs(ctx); text != told && ctx.Err() == nil {
				told = text
				d.say.say("services:%s", text)
			}
		}
	}
}

// visit is the host as a customer: through the published port, so that what
// Docker does for it (a proxy, address translation) is there to be seen.
func visit(ctx context.Context, url string) {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = get(ctx, url+"/api/products/7") // a shop that is down is what weir shows
		}
	}
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

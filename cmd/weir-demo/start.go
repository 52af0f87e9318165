package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// prepareImage gets the programs that the containers run.
func (d *demo) prepareImage(ctx context.Context) error {
	root, err := buildRootfs(ctx, d.cfg.cache, d.parts, d.say)
	if errors.Is(err, errNoPackages) && d.on == d.docker {
		return d.docker.buildImage(ctx, d.parts, cacheKey(d.parts, "debian:stable-slim"), d.say)
	}
	if err != nil {
		return fmt.Errorf("programs of the shop: %w", err)
	}
	d.root, d.bare.rootDir = root, root.dir
	for _, p := range root.missing(d.parts) {
		if !p.optional {
			return fmt.Errorf("programs of the shop: %s is in none of the packages; --clean removes the cache", p.program)
		}
		d.say.say("%s cannot be had here; the shop goes on without it", p.name)
	}
	if d.on == d.docker {
		return d.docker.loadImage(ctx, root, d.say)
	}
	return nil
}

// startShop starts every service and waits until a request through the front
// succeeds. It returns the front's URL as the host sees it.
func (d *demo) startShop(ctx context.Context) (string, error) {
	database := d.root.dir == "" || fileExists(filepath.Join(d.root.dir, "usr/sbin/mariadbd"))
	var names []string
	for _, s := range shopServices("", database) {
		names = append(names, s.name)
	}
	hosts, err := d.on.prepare(finishing(ctx), names)
	if err != nil {
		return "", err
	}
	services := shopServices(hosts, database)
	done := d.say.step("starting %d containers (%s)", len(services), d.on.name())
	var front string
	running := map[string]instance{}
	for _, s := range services {
		if err := writeFiles(stateDir, s); err != nil {
			return "", err
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		inst, err := d.on.start(finishing(ctx), s)
		if err != nil {
			return "", fmt.Errorf("service %s: %w", s.name, err)
		}
		running[s.name] = inst
		if s.name == frontService {
			front = "http://" + inst.host.String()
		}
	}
	for _, f := range failures() {
		if f.loss == 0 {
			continue
		}
		if err := loseInput(ctx, running[f.service].pid, d.root.dir, f.loss); err != nil {
			d.say.say("no lossy link for %s: %v", f.service, err)
		}
	}
	if err := d.waitReady(ctx, front+"/api/products"); err != nil {
		return "", err
	}
	done()
	return front, nil
}

// finishing is for calls that make something and must not be cut short: a daemon
// may go on with what its client has given up, and nobody would find it when
// cleaning.
func finishing(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

func (d *demo) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := get(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("front of the shop, %s: %w%s", url, err, d.epitaphs(context.WithoutCancel(ctx)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// epitaphs is one line for each service that died.
func (d *demo) epitaphs(ctx context.Context) string {
	gone, err := d.on.dead(ctx)
	if err != nil {
		return "\n" + err.Error()
	}
	text := ""
	for name, words := range gone {
		text += fmt.Sprintf("\n%s died: %s", name, words)
	}
	return text
}

func (d *demo) introduce(front string) {
	d.say.say("the shop is open at %s (the host itself visits it twice a second)", front)
	for _, f := range failures() {
		d.say.say("  %-10s %s", f.service, f.what)
	}
}

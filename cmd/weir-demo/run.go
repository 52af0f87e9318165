package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// run is the demo from start to end. Whatever ends it, everything it made is
// removed before it returns, unless cfg.keep is set.
func run(ctx context.Context, cfg config, say *progress) error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: it starts containers and weir, which loads BPF programs. Run: sudo make demo")
	}
	// Without this a reader of our output that leaves would kill us before the cleaning.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	unlock, err := lock(stateDir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	d, err := newDemo(ctx, cfg, say)
	if err != nil {
		return err
	}
	if cfg.clean {
		return d.cleanAll(ctx)
	}
	if err := d.cleanUp(ctx); err != nil {
		return fmt.Errorf("leftovers of an earlier demo: %w", err)
	}
	err = d.startAndWatch(ctx)
	if cfg.keep {
		d.say.say("the shop goes on; sudo weir-demo --clean removes it")
		return ignoreInterrupt(ctx, err)
	}
	// The interruption that ends the demo must not end its cleaning.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	done := d.say.step("removing the shop")
	if cleanErr := d.cleanUp(grace); cleanErr != nil {
		return errors.Join(ignoreInterrupt(ctx, err), fmt.Errorf("cleaning up: %w; the next start tries again", cleanErr))
	}
	done()
	return ignoreInterrupt(ctx, err)
}

// ignoreInterrupt: being interrupted is how a demo ends, not how it fails.
func ignoreInterrupt(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// demo is one run.
type demo struct {
	cfg       config
	say       *progress
	self      string
	platforms []platform // every platform of this host: leftovers may lie on each
	on        platform   // the one that this run uses
	docker    *dockerHost
	bare      *bareHost
	root      rootfs
	parts     []part
}

func newDemo(ctx context.Context, cfg config, say *progress) (*demo, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("path of this program: %w", err)
	}
	if cfg.cache, err = filepath.Abs(cfg.cache); err != nil {
		return nil, fmt.Errorf("cache folder: %w", err)
	}
	d := &demo{cfg: cfg, say: say, self: self, parts: imageParts()}
	d.bare = newBareHost(stateDir, self)
	d.platforms = []platform{d.bare}
	d.on = d.bare
	if d.docker, err = connectDocker(ctx, stateDir, self); err == nil {
		d.platforms = append(d.platforms, d.docker)
		if !cfg.noDocker {
			d.on = d.docker
		}
	} else if !cfg.noDocker {
		say.say("%v", err)
		say.say("going on without Docker, in namespaces and cgroups of its own")
	}
	return d, nil
}

// cleanUp removes the shop, of this run or of an earlier one.
func (d *demo) cleanUp(ctx context.Context) error {
	var errs error
	for _, p := range d.platforms {
		if err := p.clean(ctx); err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s: %w", p.name(), err))
		}
	}
	return errors.Join(errs, os.RemoveAll(stateDir))
}

// cleanAll also removes what makes a second start quick.
func (d *demo) cleanAll(ctx context.Context) error {
	err := d.cleanUp(ctx)
	if d.docker != nil {
		err = errors.Join(err, d.docker.removeImages(ctx, builtImage))
	}
	return errors.Join(err, os.RemoveAll(d.cfg.cache))
}

func (d *demo) startAndWatch(ctx context.Context) error {
	if !d.cfg.noWeir {
		if err := checkWeir(d.cfg.weir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if err := d.prepareImage(ctx); err != nil {
		return err
	}
	front, err := d.startShop(ctx)
	if err != nil {
		return err
	}
	d.introduce(front)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go visit(ctx, front)
	if d.cfg.noWeir {
		return d.wait(ctx)
	}
	return watch(ctx, d.cfg, d.say)
}

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

package main

import (
	"context"
	"errors"
	"fmt"
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
		// Not "sudo make": root's PATH often lacks go, and this binary is built already.
		return fmt.Errorf("this needs root: it starts containers, and weir loads BPF programs; run: sudo %s", os.Args[0])
	}
	if !cfg.noWeir && !cfg.clean {
		if err := checkWeir(cfg.weir); err != nil {
			return err
		}
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

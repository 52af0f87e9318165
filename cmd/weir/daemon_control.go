package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"

	"github.com/seed79351815/weir/cmd/weir/control"
)

// serveControl answers at the control socket: Hubble's API, and what the daemon
// says of itself.
func (d *daemon) serveControl(ctx context.Context) error {
	const (
		maxRequest = 32 << 20        // texts of policies
		patience   = 2 * time.Second // for clients that do not read
	)
	srv := grpc.NewServer(grpc.Creds(control.Credentials()), grpc.MaxRecvMsgSize(maxRequest), grpc.StreamInterceptor(endWith(ctx)))
	d.observer.Register(srv)
	control.Register(srv, d.status)
	control.RegisterMethods(srv, control.PolicyService, d.methods())
	control.RegisterMethods(srv, control.HistoryService, d.kept.methods())
	reflection.Register(srv)
	stop := context.AfterFunc(ctx, func() {
		hard := time.AfterFunc(patience, srv.Stop)
		defer hard.Stop()
		srv.GracefulStop()
	})
	defer stop()
	if err := srv.Serve(d.listen.control); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// endWith ends streams in order when ctx does: a client that follows sees an end
// and not a broken connection.
func endWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		streaming, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		err := handler(srv, endingStream{ss, streaming})
		if ctx.Err() != nil && ss.Context().Err() == nil {
			return nil
		}
		return err
	}
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s endingStream) Context() context.Context { return s.ctx }

// status is the daemon's account of itself.
func (d *daemon) status() *control.Status {
	b := thisBuild()
	s := &control.Status{
		Version: b.Version, Revision: b.Revision, PID: os.Getpid(), Ready: true,
		Started: d.started, Time: time.Now(), Memory: residentMemory(), Listen: d.addresses(),
	}
	if err := d.readiness(); err != nil {
		s.Ready, s.Reason = false, err.Error()
	}
	s.SetHealth(d.health())
	if c, _ := d.feed.captured(); c != nil {
		s.Kernel.Programs = c.Attached()
		for _, err := range c.Absent() {
			s.Kernel.Missing = append(s.Kernel.Missing, err.Error())
		}
	}
	s.Flows.TableMax = d.app.cfg.maxFlows
	s.Flows.Live, s.Flows.PerSecond, s.Flows.Bytes = d.meter.rates()
	// It answers without waiting: it is a call within the process.
	if o, err := d.observer.ServerStatus(context.Background(), nil); err == nil {
		s.Flows.Kept, s.Flows.KeptMax = int(o.NumFlows), int(o.MaxFlows)
	}
	s.Policies = d.policies()
	for _, r := range d.feed.resolver.Status() {
		s.Runtimes = append(s.Runtimes, control.Runtime{Name: r.Name, Socket: r.Socket, Connected: r.Connected, Error: r.Error})
	}
	return s
}

// addresses are where the daemon really listens: a port of 0 has become one.
func (d *daemon) addresses() control.Listen {
	l := control.Listen{Socket: d.app.cfg.socket}
	l.Hubble = strings.Join(d.app.cfg.hubbleAddresses(d.listen), ",")
	if d.listen.metrics != nil {
		l.Metrics = d.listen.metrics.Addr().String()
	}
	return l
}

package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/seed79351815/weir/collector/flow"
)

// maxDockerBody bounds one answer: some ten thousand containers.
const maxDockerBody = 128 << 20

// docker speaks Docker's API, which Podman offers too.
type docker struct {
	cli       *client.Client
	transport *http.Transport
	runtime   flow.Runtime
}

func openDocker(socket string) (runtime, error) { return openMoby(socket, flow.RuntimeDocker) }
func openPodman(socket string) (runtime, error) { return openMoby(socket, flow.RuntimePodman) }

func openMoby(socket string, kind flow.Runtime) (runtime, error) {
	var d net.Dialer
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
		IdleConnTimeout: time.Minute,
	}
	cli, err := client.New(
		client.WithHost("unix://"+socket), // first: it wants a transport of its own kind
		client.WithHTTPClient(&http.Client{Transport: boundedBodies{transport, maxDockerBody}, CheckRedirect: client.CheckRedirect}),
	)
	if err != nil {
		return nil, fmt.Errorf("open %s at %s: %w", kind, socket, err)
	}
	return &docker{cli, transport, kind}, nil
}

func (d *docker) Close() error {
	d.transport.CloseIdleConnections()
	return d.cli.Close()
}

func (d *docker) Watch(ctx context.Context, s sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := d.cli.Events(ctx, client.EventsListOptions{
		Filters: make(client.Filters).Add("type", "container", "network"),
	})
	if err := d.list(ctx, s); err != nil {
		return ended(ctx, err)
	}
	s.Connected()
	resync := time.NewTicker(resyncEvery)
	defer resync.Stop()
	for {
		select {
		case m := <-stream.Messages:
			if err := d.event(ctx, m, s); err != nil {
				return ended(ctx, err)
			}
		case err := <-stream.Err:
			return ended(ctx, fmt.Errorf("follow %s events: %w", d.runtime, err))
		case <-ctx.Done():
			return nil
		case <-resync.C:
			if err := d.list(ctx, s); err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// ended is nil where the end was asked for.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *docker) event(ctx context.Context, m events.Message, s sink) error {
	id := m.Actor.ID
	switch {
	case m.Type == events.NetworkEventType:
		id = m.Actor.Attributes["container"]
		if m.Action != events.ActionConnect || id == "" {
			return nil
		}
	case m.Action == events.ActionCreate:
		// comes before the container's cgroup and carries all but the addresses
		s.Learn(d.fromEvent(m.Actor))
		return nil
	case m.Action == events.ActionStart, m.Action == events.ActionRename, m.Action == events.ActionUpdate:
	default:
		return nil
	}
	if err := d.Lookup(ctx, id, s); err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	return nil
}

// fromEvent reads an event's attributes: the labels, and among them name and
// image.
func (d *docker) fromEvent(a events.Actor) container {
	c := container{id: a.ID, runtime: d.runtime, trust: trustEvent, labels: map[string]string{}}
	for k, v := range a.Attributes {
		switch k {
		case "name":
			c.name = v
		case "image":
			c.image = v
		default:
			c.labels[k] = v
		}
	}
	return c
}

func (d *docker) list(ctx context.Context, s sink) error {
	list, err := d.cli.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return fmt.Errorf("list %s containers: %w", d.runtime, err)
	}
	for _, l := range list.Items {
		c := container{id: l.ID, runtime: d.runtime, trust: trustAPI, image: l.Image, labels: l.Labels}
		for _, n := range l.Names { // "/web", and "/other/alias" for links
			if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
				c.name = n
				break
			}
		}
		if l.NetworkSettings != nil {
			c.addrs = networkAddrs(l.NetworkSettings.Networks)
		}
		s.Learn(c)
	}
	return nil
}

func (d *docker) Lookup(ctx context.Context, id string, s sink) error {
	res, err := d.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("inspect %s container %s: %w", d.runtime, shortID(id), err)
	}
	s.Learn(d.fromInspect(&res.Container))
	return nil
}

func (d *docker) fromInspect(r *dockercontainer.InspectResponse) container {
	c := container{id: r.ID, runtime: d.runtime, trust: trustAPI, name: strings.TrimPrefix(r.Name, "/")}
	if r.Config != nil {
		c.image, c.labels = r.Config.Image, r.Config.Labels
	}
	if r.State != nil && r.State.Pid > 0 && r.State.Pid <= maxPID {
		c.pid = uint32(r.State.Pid)
	}
	if r.NetworkSettings != nil {
		c.addrs = networkAddrs(r.NetworkSettings.Networks)
	}
	return c
}

func networkAddrs(networks map[string]*network.EndpointSettings) []netip.Addr {
	var out []netip.Addr
	for _, n := range networks {
		if n != nil {
			out = append(out, n.IPAddress, n.GlobalIPv6Address)
		}
	}
	return boundAddrs(out)
}

// boundedBodies limits how much of an answer is read. The stream of events has
// no end and is not limited.
type boundedBodies struct {
	next  http.RoundTripper
	limit int64
}

func (b boundedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil && !strings.HasSuffix(r.URL.Path, "/events") {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, b.limit), res.Body}
	}
	return res, err
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// ownLabel is on everything that the demo makes in Docker; by it leftovers are found.
const ownLabel = "dev.weir.demo"

const networkName = "weir-demo"

// dockerHost runs the services as containers.
type dockerHost struct {
	api      *client.Client
	stateDir string // files that are mounted into containers
	self     string // the demo's own binary
	image    string
	dns      netip.Addr
}

// connectDocker is an error where no Docker daemon of this host answers.
func connectDocker(ctx context.Context, stateDir, self string) (*dockerHost, error) {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("docker client: %w", err)
	}
	if !strings.HasPrefix(api.DaemonHost(), "unix://") {
		api.Close()
		return nil, fmt.Errorf("docker at %s: weir can watch only containers of this host", api.DaemonHost())
	}
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		api.Close()
		return nil, fmt.Errorf("docker: %w", err)
	}
	return &dockerHost{api: api, stateDir: stateDir, self: self}, nil
}

func (d *dockerHost) name() string { return "Docker" }

func own() client.Filters { return client.Filters{}.Add("label", ownLabel) }

func (d *dockerHost) clean(ctx context.Context) error {
	list, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: own()})
	if err != nil {
		return fmt.Errorf("list of containers: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(4)
	for _, c := range list.Items {
		g.Go(func() error {
			_, err := d.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err != nil && !isGone(err) {
				return fmt.Errorf("removal of container %s: %w", strings.Join(c.Names, " "), err)
			}
			return nil
		})
	}
	errs := g.Wait()
	nets, err := d.api.NetworkList(ctx, client.NetworkListOptions{Filters: own()})
	if err != nil {
		return errors.Join(errs, fmt.Errorf("list of networks: %w", err))
	}
	for _, n := range nets.Items {
		if _, err := d.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !isGone(err) {
			errs = errors.Join(errs, fmt.Errorf("removal of network %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs, d.removeImages(ctx, importedImage))
}

func (d *dockerHost) prepare(ctx context.Context, _ []string) (string, error) {
	_, err := d.api.NetworkCreate(ctx, networkName, client.NetworkCreateOptions{
		Driver: "bridge",
		Labels: map[string]string{ownLabel: "", "com.docker.compose.project": project, "com.docker.compose.network": "default"},
	})
	if err != nil {
		return "", fmt.Errorf("network %s: %w", networkName, err)
	}
	return "", nil // Docker's DNS knows the containers
}

func (d *dockerHost) start(ctx context.Context, s service) (instance, error) {
	config, host, err := d.spec(s)
	if err != nil {
		return instance{}, err
	}
	made, err := d.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   project + "-" + s.name + "-1",
		Config: config, HostConfig: host,
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			networkName: {Aliases: []string{s.name}},
		}},
	})
	if err != nil {
		return instance{}, fmt.Errorf("container: %w", err)
	}
	if _, err := d.api.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return instance{}, fmt.Errorf("container start: %w", err)
	}
	seen, err := d.api.ContainerInspect(ctx, made.ID, client.ContainerInspectOptions{})
	if err != nil {
		return instance{}, fmt.Errorf("container state: %w", err)
	}
	inst, err := readInstance(seen.Container, s.publish)
	if err == nil && s.name == dnsService {
		d.dns = inst.addr
	}
	return inst, err
}

// spec translates a service into Docker's terms.
func (d *dockerHost) spec(s service) (*container.Config, *container.HostConfig, error) {
	labels := map[string]string{
		ownLabel:                              "",
		"com.docker.compose.project":          project,
		"com.docker.compose.service":          s.name,
		"com.docker.compose.container-number": "1",
		"com.docker.compose.oneoff":           "False",
	}
	config := &container.Config{
		Hostname: s.name, User: s.user, Image: imageRef(s.part, d.image), Labels: labels,
		Entrypoint: s.command()[:1], Cmd: s.command()[1:],
	}
	host := &container.HostConfig{
		NetworkMode: networkName, ReadonlyRootfs: true, Tmpfs: map[string]string{},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
	}
	if d.dns.IsValid() {
		host.DNS = []netip.Addr{d.dns}
	}
	for _, dir := range s.tmpfs {
		host.Tmpfs[dir] = "mode=1777"
	}
	if s.ownBinary() {
		host.Mounts = append(host.Mounts, bindMount(d.self, ownBin+s.name))
	}
	for inside := range s.files {
		host.Mounts = append(host.Mounts, bindMount(stateFile(d.stateDir, s, inside), inside))
	}
	if s.publish != 0 {
		port, err := network.ParsePort(fmt.Sprintf("%d/tcp", s.publish))
		if err != nil {
			return nil, nil, fmt.Errorf("published port: %w", err)
		}
		config.ExposedPorts = network.PortSet{port: {}}
		host.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1")}}} // Docker picks a free one
	}
	return config, host, nil
}

func bindMount(outside, inside string) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: outside, Target: inside, ReadOnly: true}
}

func readInstance(c container.InspectResponse, publish uint16) (instance, error) {
	if c.State == nil || c.State.Pid == 0 || c.NetworkSettings == nil {
		return instance{}, fmt.Errorf("container %s ended at once", c.Name)
	}
	inst := instance{pid: c.State.Pid}
	if n := c.NetworkSettings.Networks[networkName]; n != nil {
		inst.addr = n.IPAddress
	}
	for port, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if port.Num() != publish {
				continue
			}
			at, err := netip.ParseAddrPort(b.HostIP.String() + ":" + b.HostPort)
			if err != nil {
				return instance{}, fmt.Errorf("published port: %w", err)
			}
			inst.host = at
		}
	}
	return inst, nil
}

func (d *dockerHost) dead(ctx context.Context) (map[string]string, error) {
	list, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: own()})
	if err != nil {
		return nil, fmt.Errorf("list of containers: %w", err)
	}
	gone := map[string]string{}
	for _, c := range list.Items {
		if c.State == container.StateRunning {
			continue
		}
		gone[c.Labels["com.docker.compose.service"]] = d.lastWords(ctx, c.ID)
	}
	return gone, nil
}

// lastWords is the end of a container's log; without one it is empty.
func (d *dockerHost) lastWords(ctx context.Context, id string) string {
	logs, err := d.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "2"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	var text bytes.Buffer
	_, _ = stdcopy.StdCopy(&text, &text, io.LimitReader(logs, 16<<10)) // as much as there is
	return lastLine(printable(text.String()))
}

// printable drops what a terminal should not get.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f || r == 0xfffd) {
			return -1
		}
		return r
	}, s)
}

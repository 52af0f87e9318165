package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	ctevents "github.com/containerd/containerd/api/events"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
)

// containerd speaks containerd's own API: containers of nerdctl and ctr, and
// those of Kubernetes where the CRI does not answer.
type containerd struct {
	conn       *grpc.ClientConn
	containers containersapi.ContainersClient
	events     eventsapi.EventsClient
	namespaces namespacesapi.NamespacesClient
	tasks      tasksapi.TasksClient
}

func openContainerd(socket string) (runtime, error) {
	conn, err := dialUnix(socket)
	if err != nil {
		return nil, err
	}
	return &containerd{
		conn: conn, containers: containersapi.NewContainersClient(conn), events: eventsapi.NewEventsClient(conn),
		namespaces: namespacesapi.NewNamespacesClient(conn), tasks: tasksapi.NewTasksClient(conn),
	}, nil
}

func (d *containerd) Close() error { return d.conn.Close() }

func (d *containerd) Watch(ctx context.Context, s sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.events.Subscribe(ctx, &eventsapi.SubscribeRequest{
		Filters: []string{`topic~="/containers/(create|update)"`, `topic=="/tasks/start"`},
	})
	if err != nil {
		return ended(ctx, fmt.Errorf("subscribe to containerd events: %w", err))
	}
	if err := d.list(ctx, s); err != nil {
		return ended(ctx, err)
	}
	s.Connected()
	events := received(ctx, stream.Recv)
	resync := time.NewTicker(resyncEvery)
	defer resync.Stop()
	for {
		select {
		case r := <-events:
			if r.err != nil {
				return ended(ctx, fmt.Errorf("follow containerd events: %w", r.err))
			}
			d.event(ctx, r.msg, s)
		case <-ctx.Done():
			return nil
		case <-resync.C:
			if err := d.list(ctx, s); err != nil {
				return ended(ctx, err)
			}
		}
	}
}

func (d *containerd) event(ctx context.Context, m *types.Envelope, s sink) {
	if m.GetNamespace() == mobyNamespace {
		return
	}
	var id string
	var err error
	switch m.GetTopic() {
	case "/containers/create":
		var e ctevents.ContainerCreate
		err, id = proto.Unmarshal(m.GetEvent().GetValue(), &e), e.GetID()
	case "/containers/update":
		var e ctevents.ContainerUpdate
		err, id = proto.Unmarshal(m.GetEvent().GetValue(), &e), e.GetID()
	case "/tasks/start":
		var e ctevents.TaskStart
		err, id = proto.Unmarshal(m.GetEvent().GetValue(), &e), e.GetContainerID()
	}
	if err == nil && id != "" {
		// a container that is gone again, or a call that fails, is found by the next resync
		_ = d.get(ctx, m.GetNamespace(), id, s)
	}
}

// mobyNamespace is where Docker keeps its containers, nameless: Docker itself
// knows better.
const mobyNamespace = "moby"

// in is ctx for calls in a containerd namespace.
func in(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
}

func (d *containerd) eachNamespace(ctx context.Context, f func(namespace string) error) error {
	res, err := d.namespaces.List(ctx, &namespacesapi.ListNamespacesRequest{})
	if err != nil {
		return fmt.Errorf("list containerd namespaces: %w", err)
	}
	for _, n := range res.GetNamespaces() {
		if n.GetName() == mobyNamespace {
			continue
		}
		if err := f(n.GetName()); err != nil {
			return err
		}
	}
	return nil
}

func (d *containerd) list(ctx context.Context, s sink) error {
	return d.eachNamespace(ctx, func(namespace string) error {
		res, err := d.containers.List(in(ctx, namespace), &containersapi.ListContainersRequest{})
		if err != nil {
			return fmt.Errorf("list containerd containers in %s: %w", namespace, err)
		}
		for _, c := range res.GetContainers() {
			s.Learn(fromContainerd(c))
		}
		return nil
	})
}

func (d *containerd) Lookup(ctx context.Context, id string, s sink) error {
	found := errors.New("found")
	err := d.eachNamespace(ctx, func(namespace string) error {
		err := d.get(ctx, namespace, id, s)
		if err == nil {
			return found
		}
		if isNotFound(err) {
			return nil
		}
		return err
	})
	switch {
	case err == nil:
		return errNotFound
	case errors.Is(err, found):
		return nil
	}
	return err
}

func (d *containerd) get(ctx context.Context, namespace, id string, s sink) error {
	res, err := d.containers.Get(in(ctx, namespace), &containersapi.GetContainerRequest{ID: id})
	if err != nil {
		return fmt.Errorf("get containerd container %s: %w", shortID(id), err)
	}
	c := fromContainerd(res.GetContainer())
	if task, err := d.tasks.Get(in(ctx, namespace), &tasksapi.GetRequest{ContainerID: id}); err == nil {
		c.pid = task.GetProcess().GetPid() // without a task it is not running yet
	}
	s.Learn(c)
	return nil
}

func fromContainerd(m *containersapi.Container) container {
	c := container{trust: trustTask}
	var spec ociSpec
	// the specification adds to the labels; without it they are still good
	if b := m.GetSpec().GetValue(); len(b) <= maxBundle && json.Unmarshal(b, &spec) == nil {
		c.fromAnnotations(spec.Annotations)
		if spec.Linux != nil && strings.HasPrefix(spec.Linux.CgroupsPath, "/") {
			c.cgroup = clean(spec.Linux.CgroupsPath, maxPath)
		}
	}
	c.id, c.runtime = m.GetID(), flow.RuntimeContainerd
	if m.GetImage() != "" {
		c.image = m.GetImage()
	}
	labels := m.GetLabels()
	if name := labels["nerdctl/name"]; name != "" {
		c.name = name
	}
	if !c.isSandbox && labels["io.cri-containerd.kind"] == "sandbox" {
		c.isSandbox = true
	}
	if labels[labelPodName] == "" { // the CRI plug-in's labels are in the annotations only
		for k, v := range c.labels {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[k] = v
		}
	}
	c.labels = labels
	if c.isSandbox { // a sandbox's labels are its pod's
		c.podLabels = podLabelsOf(labels)
	}
	if c.name == "" && labels[labelPodName] == "" {
		c.name = c.id // ctr's ids are names that people chose
		if isHexID(c.id) {
			c.name = ""
		}
	}
	return c
}

// podLabelsOf are a sandbox's labels without those that the runtime added.
func podLabelsOf(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if !strings.HasPrefix(k, "io.kubernetes.") && !strings.HasPrefix(k, "io.cri-containerd.") {
			out[k] = v
		}
	}
	return out
}

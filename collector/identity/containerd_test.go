package identity

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	ctevents "github.com/containerd/containerd/api/events"
	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/seed79351815/weir/collector/flow"
)

type fakeContainerd struct {
	containers map[string][]*containersapi.Container // by namespace
	events     chan *types.Envelope
}

func (f *fakeContainerd) namespace(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get("containerd-namespace"), ",")
}

// The services have methods of the same names: each gets a type of its own.
type (
	fakeNamespaces struct {
		namespacesapi.UnimplementedNamespacesServer
		*fakeContainerd
	}
	fakeContainers struct {
		containersapi.UnimplementedContainersServer
		*fakeContainerd
	}
	fakeTasks struct {
		tasksapi.UnimplementedTasksServer
		*fakeContainerd
	}
	fakeEvents struct {
		eventsapi.UnimplementedEventsServer
		*fakeContainerd
	}
)

func (f fakeNamespaces) List(context.Context, *namespacesapi.ListNamespacesRequest) (*namespacesapi.ListNamespacesResponse, error) {
	res := &namespacesapi.ListNamespacesResponse{}
	for _, n := range []string{"default", "k8s.io", "moby"} {
		res.Namespaces = append(res.Namespaces, &namespacesapi.Namespace{Name: n})
	}
	return res, nil
}

func (f fakeContainers) List(ctx context.Context, _ *containersapi.ListContainersRequest) (*containersapi.ListContainersResponse, error) {
	return &containersapi.ListContainersResponse{Containers: f.containers[f.namespace(ctx)]}, nil
}

func (f fakeContainers) Get(ctx context.Context, r *containersapi.GetContainerRequest) (*containersapi.GetContainerResponse, error) {
	for _, c := range f.containers[f.namespace(ctx)] {
		if c.ID == r.ID {
			return &containersapi.GetContainerResponse{Container: c}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "container not found")
}

func (f fakeTasks) Get(_ context.Context, r *tasksapi.GetRequest) (*tasksapi.GetResponse, error) {
	return &tasksapi.GetResponse{Process: &task.Process{ID: r.ContainerID, Pid: 4242}}, nil
}

func (f fakeEvents) Subscribe(_ *eventsapi.SubscribeRequest, s eventsapi.Events_SubscribeServer) error {
	for {
		select {
		case e := <-f.events:
			if e == nil {
				return status.Error(codes.Unavailable, "stopping")
			}
			if err := s.Send(e); err != nil {
				return err
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

func spec(t *testing.T, v any) *anypb.Any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", Value: b}
}

func envelope(t *testing.T, namespace, topic string, m proto.Message) *types.Envelope {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &types.Envelope{Namespace: namespace, Topic: topic, Event: &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: b}}
}

func startContainerd(t *testing.T, f *fakeContainerd) runtime {
	t.Helper()
	socket, _ := serveGRPC(t, func(s *grpc.Server) {
		namespacesapi.RegisterNamespacesServer(s, fakeNamespaces{fakeContainerd: f})
		containersapi.RegisterContainersServer(s, fakeContainers{fakeContainerd: f})
		tasksapi.RegisterTasksServer(s, fakeTasks{fakeContainerd: f})
		eventsapi.RegisterEventsServer(s, fakeEvents{fakeContainerd: f})
	})
	rt, err := openContainerd(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

func TestContainerdWatch(t *testing.T) {
	f := &fakeContainerd{events: make(chan *types.Envelope), containers: map[string][]*containersapi.Container{
		"default": {
			{ID: "redis", Image: "redis:7", Spec: spec(t, map[string]any{"linux": map[string]any{"cgroupsPath": "/default/redis"}})},
			{ID: idA, Image: "nginx", Labels: map[string]string{"nerdctl/name": "web", "com.docker.compose.service": "web", "com.docker.compose.project": "shop"}},
		},
		"k8s.io": {
			{ID: idB, Image: "pause", Labels: map[string]string{"io.cri-containerd.kind": "sandbox", labelPodName: "p", labelPodNamespace: "ns", "app": "x"},
				Spec: spec(t, map[string]any{"annotations": map[string]string{"io.kubernetes.cri.container-type": "sandbox"}})},
		},
		"moby": {{ID: "docker-knows-better"}},
	}}
	rt := startContainerd(t, f)
	s := &recorder{}
	broke, _ := watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	if c := s.get("redis"); c.name != "redis" || c.cgroup != "/default/redis" || c.runtime != flow.RuntimeContainerd {
		t.Errorf("ctr's container: %+v", c)
	}
	if c := s.get(idA); c.name != "web" || c.labels["com.docker.compose.project"] != "shop" {
		t.Errorf("nerdctl's container: %+v", c)
	}
	if c := s.get(idB); !c.isSandbox || c.podLabels["app"] != "x" || c.podLabels[labelPodName] != "" {
		t.Errorf("sandbox: %+v", c)
	}
	if c := s.get("docker-knows-better"); c.id != "" {
		t.Errorf("a container of Docker's was taken: %+v", c)
	}

	f.events <- envelope(t, "moby", "/tasks/start", &ctevents.TaskStart{ContainerID: "docker-knows-better", Pid: 1})
	f.events <- &types.Envelope{Namespace: "default", Topic: "/tasks/start", Event: &anypb.Any{Value: []byte{0xff}}}
	f.events <- envelope(t, "default", "/tasks/start", &ctevents.TaskStart{ContainerID: "redis", Pid: 4242})
	eventually(t, 5*time.Second, "the task's process", func() bool { return s.get("redis").pid == 4242 })

	if err := rt.Lookup(t.Context(), idB, s); err != nil {
		t.Errorf("look up a pod: %v", err)
	}
	if err := rt.Lookup(t.Context(), "nobody", s); !errors.Is(err, errNotFound) {
		t.Errorf("look up nobody: %v, want errNotFound", err)
	}
	close(f.events)
	if err := broke(); err == nil {
		t.Error("Watch gives no error when the runtime goes away")
	}
}

// TestContainerdReal speaks with the containerd that Docker brings: a container
// record needs no image and starts nothing.
func TestContainerdReal(t *testing.T) {
	const socket = "/run/docker/containerd/containerd.sock"
	needDocker(t)
	if _, err := os.Stat(socket); err != nil {
		t.Skip("this Docker uses a containerd of its own elsewhere:", err)
	}
	rt := must(openContainerd(socket)).(*containerd)
	defer rt.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const namespace = "weir-identity-test"
	if _, err := rt.namespaces.Create(in(ctx, namespace), &namespacesapi.CreateNamespaceRequest{Namespace: &namespacesapi.Namespace{Name: namespace}}); err != nil && status.Code(err) != codes.AlreadyExists {
		t.Skip("needs leave to use containerd:", err)
	}
	defer rt.namespaces.Delete(in(context.Background(), namespace), &namespacesapi.DeleteNamespaceRequest{Name: namespace})
	s := &recorder{}
	_, stop := watch(t, rt, s)
	eventually(t, 10*time.Second, "connected", s.isConnected)
	_, err := rt.containers.Create(in(ctx, namespace), &containersapi.CreateContainerRequest{Container: &containersapi.Container{
		ID: "redis", Image: "redis:7", Labels: map[string]string{"nerdctl/name": "cache"},
		Runtime: &containersapi.Container_Runtime{Name: "io.containerd.runc.v2"},
		Spec:    spec(t, map[string]any{"linux": map[string]any{"cgroupsPath": "/default/redis"}}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.containers.Delete(in(context.Background(), namespace), &containersapi.DeleteContainerRequest{ID: "redis"})
	eventually(t, 5*time.Second, "the create event", func() bool { return s.get("redis").name == "cache" })
	if c := s.get("redis"); c.cgroup != "/default/redis" || c.image != "redis:7" {
		t.Errorf("container = %+v", c)
	}
	if err := stop(); err != nil {
		t.Errorf("Watch = %v at the end of its context, want nil", err)
	}
}

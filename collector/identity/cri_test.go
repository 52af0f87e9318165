package identity

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/seed79351815/weir/collector/flow"
)

type fakeCRI struct {
	criapi.UnimplementedRuntimeServiceServer
	runtime    string
	pods       []*criapi.PodSandbox
	statuses   map[string]*criapi.PodSandboxStatus
	containers []*criapi.Container
	events     chan *criapi.ContainerEventResponse // nil: not implemented
}

func (f *fakeCRI) Version(context.Context, *criapi.VersionRequest) (*criapi.VersionResponse, error) {
	return &criapi.VersionResponse{RuntimeName: f.runtime}, nil
}

func (f *fakeCRI) ListPodSandbox(_ context.Context, r *criapi.ListPodSandboxRequest) (*criapi.ListPodSandboxResponse, error) {
	res := &criapi.ListPodSandboxResponse{}
	for _, p := range f.pods {
		if id := r.GetFilter().GetId(); id == "" || id == p.Id {
			res.Items = append(res.Items, p)
		}
	}
	return res, nil
}

func (f *fakeCRI) ListContainers(_ context.Context, r *criapi.ListContainersRequest) (*criapi.ListContainersResponse, error) {
	res := &criapi.ListContainersResponse{}
	for _, c := range f.containers {
		id, pod := r.GetFilter().GetId(), r.GetFilter().GetPodSandboxId()
		if (id == "" || id == c.Id) && (pod == "" || pod == c.PodSandboxId) {
			res.Containers = append(res.Containers, c)
		}
	}
	return res, nil
}

func (f *fakeCRI) PodSandboxStatus(_ context.Context, r *criapi.PodSandboxStatusRequest) (*criapi.PodSandboxStatusResponse, error) {
	s := f.statuses[r.PodSandboxId]
	if s == nil {
		return nil, status.Error(codes.NotFound, "no such pod")
	}
	return &criapi.PodSandboxStatusResponse{Status: s}, nil
}

func (f *fakeCRI) GetContainerEvents(_ *criapi.GetEventsRequest, s criapi.RuntimeService_GetContainerEventsServer) error {
	if f.events == nil {
		return status.Error(codes.Unimplemented, "unknown method")
	}
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
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

const hostPod = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func newFakeCRI(runtime string) *fakeCRI {
	return &fakeCRI{
		runtime: runtime,
		pods: []*criapi.PodSandbox{
			{Id: idB, Metadata: &criapi.PodSandboxMetadata{Name: "web-5d4f-abcde", Namespace: "prod", Uid: uid},
				Labels: map[string]string{labelPodName: "web-5d4f-abcde", "app": "web", labelTemplateHash: "5d4f"}},
			{Id: hostPod, Metadata: &criapi.PodSandboxMetadata{Name: "proxy", Namespace: "kube-system"}},
		},
		statuses: map[string]*criapi.PodSandboxStatus{
			idB: {Network: &criapi.PodSandboxNetworkStatus{Ip: "10.244.0.9", AdditionalIps: []*criapi.PodIP{{Ip: "fd00::9"}, {Ip: "junk"}}}},
			hostPod: {Network: &criapi.PodSandboxNetworkStatus{Ip: "192.168.1.5"}, Linux: &criapi.LinuxPodSandboxStatus{
				Namespaces: &criapi.Namespace{Options: &criapi.NamespaceOption{Network: criapi.NamespaceMode_NODE}}}},
		},
		containers: []*criapi.Container{{Id: idA, PodSandboxId: idB, Metadata: &criapi.ContainerMetadata{Name: "nginx"},
			Image: &criapi.ImageSpec{Image: "sha256:1", UserSpecifiedImage: "nginx:1.29"}}},
	}
}

func startCRI(t *testing.T, f *fakeCRI) runtime {
	t.Helper()
	socket, _ := serveGRPC(t, func(s *grpc.Server) { criapi.RegisterRuntimeServiceServer(s, f) })
	rt, err := openCRI(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

func TestCRIWatch(t *testing.T) {
	f := newFakeCRI("cri-o")
	f.events = make(chan *criapi.ContainerEventResponse)
	rt := startCRI(t, f)
	s := &recorder{}
	broke, _ := watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	pod, app, host := s.get(idB), s.get(idA), s.get(hostPod)
	if !pod.isSandbox || pod.runtime != flow.RuntimeCRIO || pod.podLabels["app"] != "web" || pod.labels[labelPodNamespace] != "prod" ||
		!reflect.DeepEqual(pod.addrs, []netip.Addr{addr("10.244.0.9"), addr("fd00::9")}) {
		t.Errorf("pod = %+v", pod)
	}
	if app.sandbox != idB || app.image != "nginx:1.29" || app.labels[labelContainerName] != "nginx" || app.labels[labelPodName] != "web-5d4f-abcde" {
		t.Errorf("container = %+v", app)
	}
	if len(host.addrs) != 0 {
		t.Errorf("a pod in the host's network has the addresses %v", host.addrs)
	}

	// both together name the container
	tab := newTable()
	tab.see(9, "/kubepods/pod"+uid+"/crio-"+idA, true)
	for _, c := range []container{app, pod} {
		tab.learn(c, time.Unix(1, 0))
	}
	if w := tab.workload(9); w.Namespace != "prod" || w.Owner != (flow.Owner{Kind: "Deployment", Name: "web"}) || w.Runtime != flow.RuntimeCRIO {
		t.Errorf("workload = %+v", w)
	}
	close(f.events)
	if err := broke(); err == nil {
		t.Error("Watch gives no error when the runtime goes away")
	}
}

func TestCRIEventsAndLookup(t *testing.T) {
	f := newFakeCRI("containerd")
	f.events = make(chan *criapi.ContainerEventResponse)
	pods, containers := f.pods, f.containers
	f.pods, f.containers = nil, nil
	rt := startCRI(t, f)
	s := &recorder{}
	watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	if err := rt.Lookup(t.Context(), idA, s); !errors.Is(err, errNotFound) {
		t.Errorf("before it is there: %v, want errNotFound", err)
	}
	f.pods, f.containers = pods, containers
	f.events <- &criapi.ContainerEventResponse{ContainerId: idA, ContainerEventType: criapi.ContainerEventType_CONTAINER_STOPPED_EVENT}
	f.events <- &criapi.ContainerEventResponse{ContainerId: idA, ContainerEventType: criapi.ContainerEventType_CONTAINER_STARTED_EVENT}
	eventually(t, 5*time.Second, "the container and its pod", func() bool { return s.get(idA).sandbox == idB && s.get(idB).isSandbox })
	if c := s.get(hostPod); c.id != "" {
		t.Error("one event listed every pod")
	}
	if err := rt.Lookup(t.Context(), hostPod, s); err != nil || s.get(hostPod).labels[labelPodName] != "proxy" {
		t.Errorf("look up a sandbox: %v, %+v", err, s.get(hostPod))
	}
}

func TestCRIWithoutEvents(t *testing.T) {
	rt := startCRI(t, newFakeCRI("containerd"))
	s := &recorder{}
	_, stop := watch(t, rt, s)
	eventually(t, 5*time.Second, "connected", s.isConnected)
	if s.get(idA).runtime != flow.RuntimeContainerd {
		t.Errorf("container = %+v", s.get(idA))
	}
	time.Sleep(50 * time.Millisecond) // the refusal of events arrives
	if err := stop(); err != nil {
		t.Errorf("Watch = %v, want it to go on without events", err)
	}
}

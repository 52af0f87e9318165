package identity

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/seed79351815/weir/collector/flow"
)

// cri speaks the Kubernetes Container Runtime Interface of containerd, CRI-O and
// others.
type cri struct {
	conn   *grpc.ClientConn
	client criapi.RuntimeServiceClient
}

func openCRI(socket string) (runtime, error) {
	conn, err := dialUnix(socket)
	if err != nil {
		return nil, err
	}
	return &cri{conn, criapi.NewRuntimeServiceClient(conn)}, nil
}

func (d *cri) Close() error { return d.conn.Close() }

func (d *cri) Watch(ctx context.Context, s sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.client.GetContainerEvents(ctx, &criapi.GetEventsRequest{})
	if err != nil {
		return ended(ctx, fmt.Errorf("subscribe to CRI events: %w", err))
	}
	if err := d.list(ctx, s, "", ""); err != nil {
		return ended(ctx, err)
	}
	s.Connected()
	events := received(ctx, stream.Recv)
	resync := time.NewTicker(resyncEvery)
	defer resync.Stop()
	for {
		select {
		case r := <-events:
			switch {
			case status.Code(r.err) == codes.Unimplemented:
				events = nil // an older runtime: look-ups on new cgroups and the resync have to do
			case r.err != nil:
				return ended(ctx, fmt.Errorf("follow CRI events: %w", r.err))
			default:
				d.event(ctx, r.msg, s)
			}
		case <-ctx.Done():
			return nil
		case <-resync.C:
			if err := d.list(ctx, s, "", ""); err != nil {
				return ended(ctx, err)
			}
		}
	}
}

func (d *cri) event(ctx context.Context, m *criapi.ContainerEventResponse, s sink) {
	switch m.GetContainerEventType() {
	case criapi.ContainerEventType_CONTAINER_CREATED_EVENT, criapi.ContainerEventType_CONTAINER_STARTED_EVENT:
		// what fails here is found by the next resync
		_ = d.Lookup(ctx, m.GetContainerId(), s)
	}
}

// list tells of all pods and containers, or of one pod and one container when
// their ids are given.
func (d *cri) list(ctx context.Context, s sink, pod, id string) error {
	kind := d.kind(ctx)
	pods, err := d.client.ListPodSandbox(ctx, &criapi.ListPodSandboxRequest{Filter: &criapi.PodSandboxFilter{Id: pod}})
	if err != nil {
		return fmt.Errorf("list CRI pods: %w", err)
	}
	names := map[string]*criapi.PodSandboxMetadata{}
	for _, p := range pods.GetItems() {
		names[p.GetId()] = p.GetMetadata()
		c := container{
			id: p.GetId(), runtime: kind, trust: trustAPI, isSandbox: true,
			labels: maps.Clone(p.GetLabels()), podLabels: podLabelsOf(p.GetLabels()),
		}
		c.podIdentity(p.GetMetadata())
		if p.GetState() == criapi.PodSandboxState_SANDBOX_READY {
			c.addrs = d.podAddrs(ctx, p.GetId())
		}
		s.Learn(c)
	}
	list, err := d.client.ListContainers(ctx, &criapi.ListContainersRequest{Filter: &criapi.ContainerFilter{Id: id, PodSandboxId: pod}})
	if err != nil {
		return fmt.Errorf("list CRI containers: %w", err)
	}
	for _, m := range list.GetContainers() {
		c := container{
			id: m.GetId(), runtime: kind, trust: trustAPI, sandbox: m.GetPodSandboxId(),
			image: m.GetImage().GetUserSpecifiedImage(), labels: maps.Clone(m.GetLabels()),
		}
		if c.image == "" {
			c.image = m.GetImage().GetImage()
		}
		c.podIdentity(names[m.GetPodSandboxId()])
		c.setLabel(labelContainerName, m.GetMetadata().GetName())
		s.Learn(c)
	}
	return nil
}

// podIdentity sets the labels that the kubelet sets, for pods that others made.
func (c *container) podIdentity(m *criapi.PodSandboxMetadata) {
	c.setLabel(labelPodName, m.GetName())
	c.setLabel(labelPodNamespace, m.GetNamespace())
	c.setLabel(labelPodUID, m.GetUid())
}

func (c *container) setLabel(key, value string) {
	if value == "" || c.labels[key] != "" {
		return
	}
	if c.labels == nil {
		c.labels = map[string]string{}
	}
	c.labels[key] = value
}

// podAddrs are a pod's addresses; none when it uses the host's network.
func (d *cri) podAddrs(ctx context.Context, pod string) []netip.Addr {
	res, err := d.client.PodSandboxStatus(ctx, &criapi.PodSandboxStatusRequest{PodSandboxId: pod})
	if err != nil {
		return nil // the pod is gone or going
	}
	st := res.GetStatus()
	if st.GetLinux().GetNamespaces().GetOptions().GetNetwork() == criapi.NamespaceMode_NODE {
		return nil
	}
	addrs := appendAddrs(nil, st.GetNetwork().GetIp())
	for _, ip := range st.GetNetwork().GetAdditionalIps() {
		addrs = appendAddrs(addrs, ip.GetIp())
	}
	return boundAddrs(addrs)
}

// Lookup finds the container or the sandbox with the id, and the pod around it.
func (d *cri) Lookup(ctx context.Context, id string, s sink) error {
	list, err := d.client.ListContainers(ctx, &criapi.ListContainersRequest{Filter: &criapi.ContainerFilter{Id: id}})
	if err != nil {
		return fmt.Errorf("list CRI container %s: %w", shortID(id), err)
	}
	for _, m := range list.GetContainers() {
		return d.list(ctx, s, m.GetPodSandboxId(), id)
	}
	pods, err := d.client.ListPodSandbox(ctx, &criapi.ListPodSandboxRequest{Filter: &criapi.PodSandboxFilter{Id: id}})
	if err != nil {
		return fmt.Errorf("list CRI pod %s: %w", shortID(id), err)
	}
	if len(pods.GetItems()) == 0 {
		return errNotFound
	}
	return d.list(ctx, s, id, "")
}

// kind is which runtime answers.
func (d *cri) kind(ctx context.Context) flow.Runtime {
	v, err := d.client.Version(ctx, &criapi.VersionRequest{})
	switch name := v.GetRuntimeName(); {
	case err != nil:
		return flow.RuntimeCgroup
	case name == "cri-o":
		return flow.RuntimeCRIO
	case strings.HasPrefix(name, "containerd"):
		return flow.RuntimeContainerd
	case name == "docker":
		return flow.RuntimeDocker
	}
	return flow.RuntimeCgroup
}

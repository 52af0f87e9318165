package identity

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// parseDockerConfig reads a container's config.v2.json as dockerd writes it.
func parseDockerConfig(b []byte) (container, error) {
	var f struct {
		ID    string
		Name  string
		State struct {
			Running bool
			Pid     int64
		}
		Config struct {
			Image  string
			Labels map[string]string
		}
		NetworkSettings struct {
			Networks map[string]*struct{ IPAddress, GlobalIPv6Address string }
		}
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return container{}, fmt.Errorf("parse Docker's config.v2.json: %w", err)
	}
	c := container{
		id: f.ID, runtime: flow.RuntimeDocker, trust: trustFile,
		name: strings.TrimPrefix(f.Name, "/"), image: f.Config.Image, labels: f.Config.Labels,
	}
	if f.State.Running && f.State.Pid > 0 && f.State.Pid <= maxPID {
		c.pid = uint32(f.State.Pid)
	}
	for _, n := range f.NetworkSettings.Networks {
		if n != nil {
			c.addrs = appendAddrs(c.addrs, n.IPAddress, n.GlobalIPv6Address)
		}
	}
	c.addrs = boundAddrs(c.addrs)
	return c, nil
}

// ociSpec is what weir reads of an OCI runtime specification.
type ociSpec struct {
	Annotations map[string]string `json:"annotations"`
	Linux       *struct {
		CgroupsPath string `json:"cgroupsPath"`
	} `json:"linux"`
}

// parseBundle reads an OCI bundle's config.json. Containers that no CRI made have
// no annotations: then it tells nothing but that the container exists.
func parseBundle(b []byte) (container, error) {
	var spec ociSpec
	if err := json.Unmarshal(b, &spec); err != nil {
		return container{}, fmt.Errorf("parse OCI config.json: %w", err)
	}
	c := container{trust: trustBundle}
	if spec.Linux != nil && strings.HasPrefix(spec.Linux.CgroupsPath, "/") {
		c.cgroup = clean(spec.Linux.CgroupsPath, maxPath)
	}
	c.fromAnnotations(spec.Annotations)
	return c, nil
}

// fromAnnotations reads the annotations of containerd's CRI, of CRI-O and of
// nerdctl.
func (c *container) fromAnnotations(a map[string]string) {
	labels := map[string]string{}
	set := func(key string, annotations ...string) {
		for _, name := range annotations {
			if v := a[name]; v != "" && labels[key] == "" {
				labels[key] = v
			}
		}
	}
	set(labelPodName, "io.kubernetes.cri.sandbox-name", labelPodName)
	set(labelPodNamespace, "io.kubernetes.cri.sandbox-namespace", labelPodNamespace)
	set(labelPodUID, "io.kubernetes.cri.sandbox-uid", labelPodUID)
	set(labelContainerName, "io.kubernetes.cri.container-name", labelContainerName)
	if a["io.kubernetes.cri-o.ContainerType"] != "" {
		c.runtime = flow.RuntimeCRIO
	} else if a["io.kubernetes.cri.container-type"] != "" {
		c.runtime = flow.RuntimeContainerd
	} else if a["io.container.manager"] == "libpod" {
		c.runtime = flow.RuntimePodman
	}
	kind := a["io.kubernetes.cri.container-type"] + a["io.kubernetes.cri-o.ContainerType"]
	c.isSandbox = kind == "sandbox"
	if !c.isSandbox {
		c.sandbox = a["io.kubernetes.cri.sandbox-id"] + a["io.kubernetes.cri-o.SandboxID"]
	}
	c.image = a["io.kubernetes.cri.image-name"] + a["io.kubernetes.cri-o.ImageName"]
	if name := a["nerdctl/name"]; name != "" {
		c.name = name
		for k, v := range a {
			if strings.HasPrefix(k, "com.docker.compose.") {
				labels[k] = v
			}
		}
	}
	if ip := a["io.kubernetes.cri-o.IP.0"]; ip != "" {
		c.addrs = boundAddrs(appendAddrs(nil, ip, a["io.kubernetes.cri-o.IP.1"]))
	}
	if len(labels) > 0 {
		c.labels = labels
	}
}

// parseStorageIndex finds a container in containers.json of containers/storage,
// where Podman's names are.
func parseStorageIndex(b []byte, id string) (container, bool) {
	var list []struct {
		ID       string   `json:"id"`
		Names    []string `json:"names"`
		Metadata string   `json:"metadata"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return container{}, false
	}
	for _, e := range list {
		if e.ID != id || len(e.Names) == 0 || strings.HasPrefix(e.Names[0], "k8s_") { // CRI-O's names are for machines
			continue
		}
		var meta struct {
			Image string `json:"image-name"`
		}
		_ = json.Unmarshal([]byte(e.Metadata), &meta) // JSON within JSON; the name is good without it
		return container{id: id, trust: trustFile, name: e.Names[0], image: meta.Image}, true
	}
	return container{}, false
}

// maxPID is the kernel's limit (PID_MAX_LIMIT on 64 bits).
const maxPID = 1 << 22

func readPID(path string) uint32 {
	b, err := readBounded(path, 32)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || n > maxPID {
		return 0
	}
	return uint32(n)
}

func appendAddrs(addrs []netip.Addr, texts ...string) []netip.Addr {
	for _, s := range texts {
		if a, err := netip.ParseAddr(s); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

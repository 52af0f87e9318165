package identity

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/seed79351815/weir/collector/flow"
)

const (
	maxDockerConfig = 1 << 20
	maxBundle       = 4 << 20
	maxStorageIndex = 16 << 20
	maxNamespaces   = 64 // directories of one containerd
)

// files reads what runtimes keep on disk about their containers: it names them
// when no socket answers, or does not answer yet.
type files struct{ root string }

// bundleDirs hold an OCI bundle for each running container, by containerd
// namespace and id.
var bundleDirs = []string{
	"run/containerd/io.containerd.runtime.v2.task",
	"run/docker/containerd/daemon/io.containerd.runtime.v2.task",
	"run/k3s/containerd/io.containerd.runtime.v2.task",
}

// storageDirs are containers/storage's, which CRI-O and Podman use.
var storageDirs = []string{
	"run/containers/storage/overlay-containers",
	"var/lib/containers/storage/overlay-containers",
}

// lookup gives everything that the files say about a container, in no order.
// The id must have come from parsePath: as one path element, it cannot lead
// anywhere else.
func (f files) lookup(id string) []container {
	if !isHexID(id) && !isECSID(id) {
		return nil
	}
	var out []container
	if b, err := readBounded(filepath.Join(f.root, "var/lib/docker/containers", id, "config.v2.json"), maxDockerConfig); err == nil {
		if c, err := parseDockerConfig(b); err == nil && c.id == id {
			out = append(out, c)
		}
	}
	for _, dir := range bundleDirs {
		for _, namespace := range subdirs(filepath.Join(f.root, dir), maxNamespaces) {
			bundle := filepath.Join(f.root, dir, namespace, id)
			runtime := flow.RuntimeContainerd
			if namespace == "moby" { // Docker's own
				runtime = flow.RuntimeDocker
			}
			if c, ok := readBundle(filepath.Join(bundle, "config.json"), id, runtime); ok {
				c.pid = readPID(filepath.Join(bundle, "init.pid"))
				out = append(out, c)
			}
		}
	}
	for _, dir := range storageDirs {
		if c, ok := readBundle(filepath.Join(f.root, dir, id, "userdata/config.json"), id, flow.RuntimeCgroup); ok {
			c.pid = readPID(filepath.Join(f.root, dir, id, "userdata/pidfile"))
			out = append(out, c)
		}
		if b, err := readBounded(filepath.Join(f.root, dir, "containers.json"), maxStorageIndex); err == nil {
			if c, ok := parseStorageIndex(b, id); ok {
				out = append(out, c)
			}
		}
	}
	return out
}

func readBundle(path, id string, runtime flow.Runtime) (container, bool) {
	b, err := readBounded(path, maxBundle)
	if err != nil {
		return container{}, false
	}
	c, err := parseBundle(b)
	if err != nil {
		return container{}, false
	}
	c.id = id
	if c.runtime == "" {
		c.runtime = runtime
	}
	return c, true
}

func subdirs(dir string, limit int) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(limit)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return names
}

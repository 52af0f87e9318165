package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// imageRef is the image of a part: one file system under several names, so that
// containers look as different as those of a real shop.
func imageRef(part, key string) string { return "weir-demo/" + part + ":" + key }

// The values of the demo's label on images.
const (
	importedImage = "imported" // from the root file system in the cache
	builtImage    = "built"    // from the registry: there is no other cache of it
)

func isGone(err error) bool { return cerrdefs.IsNotFound(err) }

// loadImage makes the image out of the root file system. That takes a second,
// so images are removed with the shop; what is kept is the root file system.
func (d *dockerHost) loadImage(ctx context.Context, fs rootfs, say *progress) error {
	d.image = fs.key
	base := imageRef("base", fs.key)
	defer say.step("handing the image to Docker")()
	r, w := io.Pipe()
	go func() { w.CloseWithError(tarTree(fs.dir, w)) }()
	defer r.Close()
	out, err := d.api.ImageImport(ctx, client.ImageImportSource{Source: r, SourceName: "-"}, base,
		client.ImageImportOptions{Changes: []string{"LABEL " + ownLabel + "=" + importedImage}})
	if err != nil {
		return fmt.Errorf("image import: %w", err)
	}
	defer out.Close()
	if err := readMessages(out); err != nil {
		return fmt.Errorf("image import: %w", err)
	}
	return d.tagImage(ctx, base)
}

// buildImage is the way for hosts without apt: the same packages, fetched by a
// container of Debian's image from the registry. That image stays in Docker
// until removed with the cache.
func (d *dockerHost) buildImage(ctx context.Context, parts []part, key string, say *progress) error {
	d.image = key
	base := imageRef("base", key)
	if _, err := d.api.ImageInspect(ctx, base); err == nil {
		return d.tagImage(ctx, base)
	}
	defer say.step("building the image from debian:stable-slim (a minute or two)")()
	text := dockerfile(parts)
	var dir bytes.Buffer
	tw := tar.NewWriter(&dir)
	err := tw.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = io.WriteString(tw, text)
	}
	if err = errors.Join(err, tw.Close()); err != nil {
		return fmt.Errorf("build context: %w", err)
	}
	out, err := d.api.ImageBuild(ctx, &dir, client.ImageBuildOptions{Tags: []string{base}, Remove: true, ForceRemove: true})
	if err != nil {
		return fmt.Errorf("image build: %w", err)
	}
	defer out.Body.Close()
	if err := readMessages(out.Body); err != nil {
		return fmt.Errorf("image build: %w", err)
	}
	return d.tagImage(ctx, base)
}

// dockerfile installs the first choice of packages of each part.
func dockerfile(parts []part) string {
	text := "FROM debian:stable-slim\nLABEL " + ownLabel + "=" + builtImage + "\nRUN apt-get update && apt-get install -y --no-install-recommends"
	for _, p := range parts {
		text += " " + p.packages[0]
	}
	return text + " && rm -rf /var/lib/apt/lists && (getent passwd mysql || useradd --system --no-create-home mysql)\n"
}

func (d *dockerHost) tagImage(ctx context.Context, base string) error {
	for _, part := range []string{"nginx", "redis", "mariadb", "shop"} {
		if _, err := d.api.ImageTag(ctx, client.ImageTagOptions{Source: base, Target: imageRef(part, d.image)}); err != nil {
			return fmt.Errorf("image name %s: %w", part, err)
		}
	}
	return nil
}

// tarTree writes dir as an archive whose files all belong to root.
func tarTree(dir string, out io.Writer) error {
	tw := tar.NewWriter(out)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		if h.Name, err = filepath.Rel(dir, path); err != nil {
			return err
		}
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		if err := tw.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(tw, f)
		return err
	})
	return errors.Join(err, tw.Close())
}

// removeImages takes the demo's images of one kind out of Docker. Containers of them must be gone.
func (d *dockerHost) removeImages(ctx context.Context, kind string) error {
	list, err := d.api.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("label", ownLabel+"="+kind)})
	if err != nil {
		return fmt.Errorf("list of images: %w", err)
	}
	var errs error
	for _, image := range list.Items {
		if _, err := d.api.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil && !isGone(err) {
			errs = errors.Join(errs, fmt.Errorf("removal of image %s: %w", image.ID, err))
		}
	}
	return errs
}

// readMessages follows a stream of Docker's progress messages to its end and
// returns the error that it may hold.
func readMessages(in io.Reader) error {
	for dec := json.NewDecoder(in); ; {
		var m struct {
			Error string `json:"error"`
		}
		switch err := dec.Decode(&m); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("docker's answer: %w", err)
		case m.Error != "":
			return errors.New(printable(m.Error))
		}
	}
}

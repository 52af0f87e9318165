package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/cmd/weir/settings"
	"github.com/seed79351815/weir/exporters/pcap"
)

// packetOptions are what one call of weir capture shall do.
type packetOptions struct {
	output  string
	period  time.Duration
	maxSize settings.Size
	packets int
	snap    int
	choice  packetChoice
}

func (a *app) captureCommand() *cobra.Command {
	var o packetOptions
	cmd := &cobra.Command{
		Use:     "capture",
		GroupID: groupLook,
		Short:   "Write the packets of one workload into a pcapng file",
		Long: `capture writes whole packets, payload included, into a file that Wireshark and
tshark read. Each packet has a comment with its workload, process, direction and
verdict: "frame.comment contains verdict=DROPPED" finds what the kernel dropped.
Packets are taken where they pass the workload's sockets, so that they carry no
Ethernet header, are named without doubt, and cost nobody else anything. A
container that starts later is captured from a moment after its start.

Values of one flag are alternatives, different flags must all match. Without
--workload and --container it is every workload of this host. It stops when it is
interrupted, or at the first bound that is met: --for, --packets or --max-size.`,
		Example: `  sudo weir capture --workload web -o web.pcapng
  sudo weir capture --container shop-db-1 --port 3306 --for 1m -o db.pcapng
  sudo weir capture --workload web -o - | wireshark -k -i -
  tshark -r web.pcapng -T fields -e frame.comment -e ip.dst`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	o.maxSize, o.snap = 1<<30, bpf.MaxSnapLength
	fs.StringVarP(&o.output, "output", "o", "", "`file` to write, replaced where it exists; - for standard output (required)")
	o.choice.flags(fs)
	durationVar(fs, &o.period, "for", 0, maxPeriod, "stop after this time")
	intVar(fs, &o.packets, "packets", 0, 1<<40, "stop after so many packets; 0 for any number")
	sizeVar(fs, &o.maxSize, "max-size", 4<<10, 1<<40, "stop before the file is larger")
	intVar(fs, &o.snap, "snap-length", 64, bpf.MaxSnapLength, "bytes to keep of each packet")
	fs.StringVar(&a.cfg.cgroupRoot, "cgroup-root", "", "`directory` where cgroup v2 is mounted; found when empty")
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error { return a.capturePackets(ctx, o) })
	return cmd
}

// errEnough ends a capture whose bound is met.
var errEnough = errors.New("as much as was asked for")

func (a *app) capturePackets(ctx context.Context, o packetOptions) error {
	usage := func(err error) error { return &usageError{err: err, help: "weir capture"} }
	if o.output == "" {
		return usage(errors.New("--output says which file to write, and is missing"))
	}
	if o.output == "-" && a.outTTY {
		return usage(errors.New("--output -: packets are no text: send standard output into a pipe or a file"))
	}
	s, err := a.openSnapshot(o)
	if err != nil {
		return err
	}
	ctx, cancel := withPeriod(ctx, o.period)
	defer cancel()
	out, err := a.createPackets(o.output)
	if err != nil {
		s.close()
		return err
	}
	w, err := pcap.NewWriter(out, pcap.Meta{
		Application: "weir " + thisBuild().Version, OS: "Linux " + kernelRelease(), Comment: "weir capture " + o.choice.String(),
		Name: o.choice.name(), SnapLength: o.snap,
	})
	if err == nil {
		fmt.Fprintf(a.err, "weir: capturing into %s until interrupted\n", nameOf(o.output))
		err = a.writePackets(ctx, s, w, o)
	}
	if w != nil && err != nil {
		err = errors.Join(err, keepWhole(out, w.Whole()))
	}
	err = errors.Join(err, out.Close(), s.close())
	if w != nil {
		fmt.Fprintf(a.err, "weir: %s\n", s.progress(w))
	}
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// writePackets works until ctx is done or a bound is met.
func (a *app) writePackets(ctx context.Context, s *snapshot, w *pcap.Writer, o packetOptions) error {
	tending, stop := context.WithCancel(ctx)
	tended := make(chan struct{})
	go func() {
		defer close(tended)
		// An error is told by the next packet, or at the end.
		every(tending, 200*time.Millisecond, func() { _ = w.Flush() })
	}()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		a.keepLine(tending, func() string { return s.progress(w) })
	}()
	err := s.run(ctx, func(p *pcap.Packet) error {
		n, bytes := w.Written()
		if o.packets > 0 && n >= uint64(o.packets) || bytes+int64(len(p.Data))+packetOverhead > int64(o.maxSize) {
			return errEnough
		}
		return w.Write(p)
	})
	stop()
	<-tended
	<-shown
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, w.Flush())
}

// packetOverhead is what a packet takes beside its bytes, at most: its block's
// fields, a comment, and what waits in the writer's buffer.
const packetOverhead = 8 << 10

// every calls f again and again until ctx is done.
func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// createPackets opens the file, which only its owner may read: it holds what
// applications say to each other.
func (a *app) createPackets(path string) (io.WriteCloser, error) {
	if path == "-" {
		return openEnd{a.out}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	return f, nil
}

// openEnd is standard output, which is not closed.
type openEnd struct{ io.Writer }

func (openEnd) Close() error { return nil }

// keepWhole cuts a file behind its last whole packet, after a write that failed.
func keepWhole(out io.Writer, size int64) error {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Truncate(size)
}

func nameOf(path string) string {
	if path == "-" {
		return "standard output"
	}
	return path
}

func (s *snapshot) progress(w *pcap.Writer) string {
	packets, bytes := w.Written()
	return fmt.Sprintf("%s packets, %s, lost: %s", grouped(packets), size(bytes), lostLine(control.Losses(s.packets.Lost())))
}

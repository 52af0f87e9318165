// weir-demo starts a small shop of real programs in containers, opens weir on
// it, and removes all that it made when it ends. docs/demo.md describes it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/cmd/weir-demo/shop"
)

// The first argument by which the binary knows that it is started inside the shop.
const (
	shopCommand = "shop"      // one of the shop's services
	initCommand = "shop-init" // sets a container up, then becomes the service
	stateDir    = "/run/weir-demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := dispatch(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "weir-demo: %v\n", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) > 1 && args[1] == shopCommand {
		return shop.Main(ctx, args[2:])
	}
	if len(args) == 3 && args[1] == initCommand {
		return containerInit(args[2])
	}
	cmd := command()
	cmd.SetArgs(args[1:])
	return cmd.ExecuteContext(ctx)
}

// config is what the flags say.
type config struct {
	duration time.Duration // 0: until interrupted, or 20 s where weir has no terminal
	noDocker bool
	noWeir   bool
	keep     bool
	clean    bool
	weir     string
	cache    string
}

func command() *cobra.Command {
	var cfg config
	cmd := &cobra.Command{
		Use:   "weir-demo",
		Short: "Start a small shop in containers and watch it with weir",
		Long: `weir-demo starts a small shop of real programs (nginx, redis, MariaDB and a few
services of its own) in containers, sends shoppers through it, lets some things
go wrong, and opens "weir top" on it; without a terminal it prints flows for
20 seconds. It removes everything it made when it ends or is interrupted; what a
killed run left is removed at the next start.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cfg, newProgress(os.Stderr))
		},
	}
	f := cmd.Flags()
	f.DurationVar(&cfg.duration, "duration", 0, "end after this time (default: when interrupted; 20s without a terminal)")
	f.BoolVar(&cfg.noDocker, "no-docker", false, "use namespaces and cgroups of its own even where Docker runs")
	f.BoolVar(&cfg.keep, "keep", false, "leave the shop running at the end; the next start or --clean removes it")
	f.StringVar(&cfg.weir, "weir", siblingWeir(), "the weir binary")
	f.BoolVar(&cfg.noWeir, "no-weir", false, "only run the shop")
	f.BoolVar(&cfg.clean, "clean", false, "remove what an earlier run left, the cache included, and exit")
	f.StringVar(&cfg.cache, "cache", filepath.Join(".cache", "demo"), "folder for the unpacked packages")
	return cmd
}

// siblingWeir is weir beside this binary, or else what PATH finds.
func siblingWeir() string {
	self, err := os.Executable()
	if err == nil {
		if path := filepath.Join(filepath.Dir(self), "weir"); fileExists(path) {
			return path
		}
	}
	return "weir"
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

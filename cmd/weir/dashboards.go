package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/exporters/grafana"
)

func (a *app) dashboardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dashboards",
		GroupID: groupRun,
		Short:   "Dashboards and alerts for Grafana and Prometheus",
		Example: "  weir dashboards export -o ./weir-grafana",
		Args:    unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return cmd.Help()
		},
	}
	cmd.AddCommand(a.dashboardsExportCommand())
	return cmd
}

func (a *app) dashboardsExportCommand() *cobra.Command {
	dir, job := "", grafana.DefaultJob
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write dashboards, rules and what provisions them into a directory",
		Long: `export writes Grafana's dashboards, Prometheus's recording and alert rules, files
that provision both, and a compose file that starts Prometheus, Grafana and Tempo
with them on this host. They are of the metrics of this very weir. Files that are
there already are replaced; nothing else in the directory is touched.`,
		Example: `  weir dashboards export -o ./weir-grafana
  cd weir-grafana && GRAFANA_PASSWORD=… docker compose up -d
  weir dashboards export -o ./out --job node/weir   # as your Prometheus calls it`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&dir, "output", "o", "", "`directory` to write into; made where it is missing")
	fs.StringVar(&job, "job", job, "`name` of the job by which Prometheus scrapes weir; the rules are about it")
	cmd.RunE = a.with(func(context.Context, []string) error {
		if dir == "" {
			return &usageError{err: errors.New("a directory is missing: -o DIRECTORY"), help: cmd.CommandPath()}
		}
		files, err := grafana.Files(job)
		if err != nil {
			return &usageError{err: err, help: cmd.CommandPath()}
		}
		if err := grafana.Write(dir, files); err != nil {
			return fmt.Errorf("export dashboards: %w", err)
		}
		for _, f := range files {
			fmt.Fprintln(a.out, f.Path)
		}
		return nil
	})
	return cmd
}

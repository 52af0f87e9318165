package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The shop's database is reached only from the shop's own network and dies with
// it, so its password guards nothing.
const (
	dbName     = "shop"
	dbUser     = "shop"
	dbPassword = "shop"
)

// runDatabase does what mariadb-install-db does, without a shell, and then
// replaces itself by the server, so that the workload's process is mariadbd.
func runDatabase(ctx context.Context, args []string) error {
	fs := flags("database")
	data := fs.String("data", "/var/lib/mysql", "data folder, empty at start")
	share := fs.String("share", "/usr/share/mysql:/usr/share/mariadb", "folders that may hold the server's SQL files")
	server := fs.String("server", "/usr/sbin/mariadbd", "")
	as := fs.String("user", "mysql", "user to run as")
	if err := fs.Parse(args); err != nil {
		return err
	}
	common := []string{"--no-defaults", "--datadir=" + *data, "--user=" + *as,
		"--socket=" + filepath.Join(*data, "sock"), "--pid-file=" + filepath.Join(*data, "pid"), "--tmpdir=" + *data,
		"--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--performance-schema=off"}
	if err := giveTo(*data, *as); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	script, err := bootstrapSQL(*share)
	if err != nil {
		return err
	}
	boot := exec.CommandContext(ctx, *server, append(common, "--bootstrap", "--silent-startup")...)
	boot.Stdin = script
	boot.Stdout, boot.Stderr = os.Stdout, os.Stderr
	if err := boot.Run(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	argv := append(append([]string{*server}, common...), "--bind-address=0.0.0.0", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2")
	return fmt.Errorf("start of %s: %w", *server, syscall.Exec(*server, argv, os.Environ()))
}

// giveTo makes dir the property of the named user; it must be on a file system of its own.
func giveTo(dir, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// bootstrapSQL is what a fresh server is fed: its own tables, then the shop's
// database and user. dirs is a list of folders separated by colons.
func bootstrapSQL(dirs string) (io.Reader, error) {
	var b strings.Builder
	b.WriteString("CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\n")
	for _, name := range []string{"system_tables.sql", "performance_tables.sql", "system_tables_data.sql"} {
		text, err := readServerSQL(dirs, name)
		if err != nil {
			return nil, fmt.Errorf("bootstrap SQL: %w", err)
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "FLUSH PRIVILEGES;\nCREATE DATABASE %s;\nCREATE USER '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON %s.* TO '%s'@'%%';\n",
		dbName, dbUser, dbPassword, dbName, dbUser)
	return strings.NewReader(b.String()), nil
}

// readServerSQL finds a file under both names: MariaDB 11 renamed mysql_* to mariadb_*.
func readServerSQL(dirs, name string) ([]byte, error) {
	for dir := range strings.SplitSeq(dirs, ":") {
		for _, prefix := range []string{"mariadb_", "mysql_"} {
			text, err := os.ReadFile(filepath.Join(dir, prefix+name))
			if !errors.Is(err, os.ErrNotExist) {
				return text, err
			}
		}
	}
	return nil, fmt.Errorf("no *_%s in %s", name, dirs)
}

package history

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// migrations lead from one version of the file to the next. They are never
// changed, only added to: PRAGMA user_version says how many a file has had.
var migrations = []string{`
CREATE TABLE blocks (
	id    INTEGER PRIMARY KEY, -- in the order of arrival
	first INTEGER NOT NULL,    -- earliest and latest time of its flows, ns since the Unix epoch
	last  INTEGER NOT NULL,
	flows INTEGER NOT NULL,
	body  BLOB NOT NULL        -- zstd of flow.Flow messages, each after its length
);
CREATE INDEX blocks_time ON blocks (last, first);
CREATE TABLE keys (
	key   BLOB NOT NULL,
	block INTEGER NOT NULL,
	PRIMARY KEY (key, block)
) WITHOUT ROWID;
CREATE TABLE red (
	minute     INTEGER NOT NULL, -- since the Unix epoch
	protocol   INTEGER NOT NULL,
	client     TEXT NOT NULL,
	server     TEXT NOT NULL,
	method     TEXT NOT NULL,
	route      TEXT NOT NULL,
	requests   INTEGER NOT NULL,
	errors     INTEGER NOT NULL,
	sent       INTEGER NOT NULL, -- bytes of requests
	received   INTEGER NOT NULL, -- bytes of answers
	duration   INTEGER NOT NULL, -- sum of latencies, ns
	latencies  BLOB NOT NULL,    -- pairs of bucket and count, as varints
	PRIMARY KEY (minute, protocol, client, server, method, route)
) WITHOUT ROWID;
`, `
CREATE TABLE traffic (
	minute      INTEGER NOT NULL, -- since the Unix epoch
	workload    TEXT NOT NULL,    -- empty for all ends that no workload stands behind
	role        INTEGER NOT NULL, -- flow.Role
	opened      INTEGER NOT NULL, -- connections
	failed      INTEGER NOT NULL,
	drops       INTEGER NOT NULL, -- packets
	retransmits INTEGER NOT NULL,
	sent        INTEGER NOT NULL, -- bytes of payload, by the workload
	received    INTEGER NOT NULL,
	PRIMARY KEY (minute, workload, role)
) WITHOUT ROWID;
CREATE TABLE watched (
	minute INTEGER PRIMARY KEY, -- in which weir looked
	lost   INTEGER NOT NULL     -- events that it could not take in meanwhile
);
`, `
DROP TABLE blocks; -- of messages of Hubble's API
DELETE FROM keys;
CREATE TABLE blocks (
	id    INTEGER PRIMARY KEY, -- in the order of arrival
	first INTEGER NOT NULL,    -- no flow of it is of a time before, ns since the Unix epoch
	last  INTEGER NOT NULL,    -- or after
	flows INTEGER NOT NULL,
	keys  BLOB NOT NULL,       -- that lead to it, each after its length
	body  BLOB NOT NULL        -- CRC-32C of what follows; S2 of names of node and version, and of packed records
);
CREATE INDEX blocks_time ON blocks (last, first);
`}

// recordsSince is the version of the file since which blocks are packed records.
const recordsSince = 3

// minuteTables have a row for each minute and thing.
var minuteTables = []string{"red", "traffic", "watched"}

// applicationID tells weir's files from others: "weir".
const applicationID = 0x77656972

// ErrNewer is returned for a file that a newer weir has made.
var ErrNewer = errors.New("made by a newer weir")

// ErrOlder is returned to who only reads a file that an older weir has made: one that
// writes brings it to the present form.
var ErrOlder = errors.New("made by an older weir; this one's `weir run` brings it up to date")

// busy is how long a statement waits for another process that holds the file.
const busy = 2 * time.Second

// open opens the database, which it makes where there is none unless readOnly.
func open(path string, readOnly bool) (*sql.DB, error) {
	if !readOnly {
		// SQLite would make it readable for all.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		f.Close()
	}
	q := url.Values{}
	add := func(format string, args ...any) { q.Add("_pragma", fmt.Sprintf(format, args...)) }
	add("busy_timeout(%d)", busy.Milliseconds())
	add("cache_size(-%d)", 512) // KiB; the kernel keeps the file's pages as well
	if readOnly {
		add("query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
		add("auto_vacuum(incremental)") // heeded while the file is empty
		add("journal_mode(wal)")
		add("synchronous(normal)")
		add("journal_size_limit(%d)", walLimit)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

// migrate brings the file to the present version. It gives how many flows of an older
// weir had to go for that.
func migrate(db *sql.DB) (dropped uint64, err error) {
	version, err := fileVersion(db)
	if err != nil || version == len(migrations) {
		return 0, err
	}
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if version > 0 && version < recordsSince {
		if err := tx.QueryRow("SELECT coalesce(sum(flows), 0) FROM blocks").Scan(&dropped); err != nil {
			return 0, err
		}
	}
	for _, m := range migrations[version:] {
		if _, err := tx.Exec(m); err != nil {
			return 0, err
		}
	}
	// PRAGMA takes no parameters.
	if _, err := tx.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))); err != nil {
		return 0, err
	}
	return dropped, tx.Commit()
}

// fileVersion is the file's; 0 where it is new.
func fileVersion(db *sql.DB) (version int, err error) {
	var id, tables int
	row := db.QueryRow("SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)")
	if err := row.Scan(&version, &id, &tables); err != nil {
		return 0, err
	}
	switch {
	case version == 0 && id == 0 && tables == 0:
		return 0, nil
	case id != applicationID || version < 1:
		return 0, errDamaged
	case version > len(migrations):
		return 0, ErrNewer
	}
	return version, nil
}

// errDamaged is a file that is no history.
var errDamaged = errors.New("no history of weir")

// damaged tells whether the file itself is broken: another try would not help.
func damaged(err error) bool {
	if errors.Is(err, errDamaged) {
		return true
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}

// full tells whether there is no room left, by the bound or on the disk.
func full(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC)
}

// setAside renames the file and what belongs to it, over what was set aside before.
func setAside(path string) (string, error) {
	to := path + ".damaged"
	if err := os.Rename(path, to); err != nil {
		return "", fmt.Errorf("set damaged history aside: %w", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("set damaged history aside: %w", err)
		}
	}
	return to, nil
}

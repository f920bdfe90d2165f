package embedded

import (
	"context"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// WithMemTable makes Pebble rotate its log and flush every few kilobytes.
func (o Options) WithMemTable(bytes int) Options {
	o.memTableBytes = bytes
	return o
}

// ManifestDamage tells damage in a manifest from a torn end.
var ManifestDamage = manifestDamage

// RestoreFS is Restore on another file system.
func RestoreFS(ctx context.Context, r io.Reader, dir string, fs vfs.FS) (Backup, error) {
	return restore(ctx, r, dir, Options{FS: fs}.withDefaults())
}

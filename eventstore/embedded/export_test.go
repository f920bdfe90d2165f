package embedded

// WithMemTable makes Pebble rotate its log and flush every few kilobytes.
func (o Options) WithMemTable(bytes int) Options {
	o.memTableBytes = bytes
	return o
}

// ManifestDamage tells damage in a manifest from a torn end.
var ManifestDamage = manifestDamage

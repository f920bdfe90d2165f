package remote

import "time"

// SetPatience bounds how long Record waits for a server.
func (c *Client) SetPatience(d time.Duration) { c.patience = d }

// The bounds of one request.
const (
	MaxRequestBytes  = maxRequestBytes
	MaxRequestEvents = maxRequestEvents
)

// Compress packs what is recorded, as for a server on another machine.
func (c *Client) Compress() error { return c.compress() }

// Packs reports whether it does.
func (c *Client) Packs() bool { return c.pack != nil }

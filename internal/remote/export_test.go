package remote

import "time"

// SetPatience bounds how long Record waits for a server.
func (c *Client) SetPatience(d time.Duration) { c.patience = d }

// The bounds of one request.
const (
	MaxRequestBytes  = maxRequestBytes
	MaxRequestEvents = maxRequestEvents
)

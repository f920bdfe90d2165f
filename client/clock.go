package client

import "time"

// clock is where the time comes from. since is apart from now because it costs
// less, and Record asks it each time.
type clock struct {
	now   func() time.Time
	since func(time.Time) time.Duration
}

func systemClock() clock { return clock{now: time.Now, since: time.Since} }

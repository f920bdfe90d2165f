package views

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Cursor is how far a view has come.
type Cursor struct {
	Position domain.Position // of the last event applied
	Events   int64           // applied since the beginning of the log, those that are not ours included
	At       time.Time       // recorded_at of the last event that is ours; zero before it

	// fence is the number that whoever writes drew when it took over: the writer
	// before finds that the cursor is not what it left and can't write any more.
	fence int64
}

// noCursor stands where there is no generation (any more).
const noCursor = ""

// String is the cursor as it stands in Redis.
func (c Cursor) String() string {
	var at int64
	if !c.At.IsZero() {
		at = c.At.UnixNano()
	}
	return fmt.Sprintf("%s %d %d %d", place(c.Position), c.Events, at, c.fence)
}

// past is the cursor after the next event of the log.
func (c Cursor) past(e feed.Event) Cursor {
	c.Position = e.Position
	c.Events++
	if e.Event != nil && !e.RecordedAt.IsZero() {
		c.At = e.RecordedAt.UTC()
	}
	return c
}

func parseCursor(text string) (c Cursor, err error) {
	bad := damaged("cursor %.64q", text)
	words := strings.Fields(text)
	if len(words) != 4 {
		return Cursor{}, bad
	}
	if c.Position, err = parsePlace(words[0]); err != nil {
		return Cursor{}, bad
	}
	var numbers [3]int64
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(words[i+1], 10, 64); err != nil {
			return Cursor{}, bad
		}
	}
	c.Events, c.fence = numbers[0], numbers[2]
	if numbers[1] != 0 {
		c.At = time.Unix(0, numbers[1]).UTC()
	}
	return c, nil
}

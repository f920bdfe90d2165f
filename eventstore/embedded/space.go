package embedded

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc/codes"
)

// space watches how much room the disk has. Appends stop while some is left, so
// that Pebble can still move into tables what was acknowledged: when its own
// writes fail, the node has to stop.
type space struct {
	fs      vfs.FS
	dir     string
	reserve uint64
	err     error // why nothing can be appended now
}

// look is called before each group. A file system that can't tell, such as one in
// memory, counts as one with room.
func (s *space) look() {
	s.err = nil
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err == nil && usage.AvailBytes < s.reserve {
		s.err = &failure{
			code: codes.ResourceExhausted,
			message: fmt.Sprintf("the disk is full: %s has %d MiB left, and appends need %d MiB; nothing was written",
				s.dir, usage.AvailBytes>>20, s.reserve>>20),
		}
	}
}

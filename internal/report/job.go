package report

import (
	"io"
	"os"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report/pdf"
)

// State is how far a job has come. Its values are part of the interfaces.
type State string

// The states of a job.
const (
	Queued  State = "queued"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Over reports whether nothing more will happen.
func (s State) Over() bool { return s == Done || s == Failed }

// Job is a report that was asked for, as it was at one moment.
type Job struct {
	ID      string
	Request Request
	State   State
	Events  int64 // read so far
	Rows    int64 // written so far
	Created time.Time
	Ended   time.Time // zero: not yet
	Expires time.Time // when it is forgotten; zero: not before it has ended

	File    string // what to call it; the rest is there when it is Done
	Bytes   int64
	SHA256  string
	EventID string // of the event that says that it was made
	Err     error  // when it has Failed
}

// Content is a finished report's file. It stays readable until it is closed, whatever
// becomes of the job.
type Content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// job is a Job under the lock of its Jobs.
type job struct {
	Job

	proof pdf.Place // of the bundle in the file; zero without
	owner string
	path  string
	over  chan struct{} // closed when it is
}

var errUnknown = &domain.Error{
	Class: domain.ClassNotFound, Code: "unknown_report", Field: "id",
	Message: "there is no such report: reports are removed some time after they are done, and a restart of the server forgets them; ask for it again",
}

// removed deletes a file that may not be there.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

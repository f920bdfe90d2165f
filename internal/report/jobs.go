package report

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// Limits bound what jobs may take.
type Limits struct {
	Running        int           // reports that are made at a time
	Total, Each    int           // jobs there are, of all and of one principal: those that are done make room
	Bytes, AllByte int64         // of one file and of all
	Time           time.Duration // for one report
	Keep           time.Duration // how long a report stays after it is done
	Sweep          time.Duration // how often is looked for what to remove
}

// DefaultLimits are those of a server.
func DefaultLimits() Limits {
	return Limits{
		Running: 2, Total: 256, Each: 32, Bytes: 1 << 30, AllByte: 4 << 30,
		Time: 30 * time.Minute, Keep: time.Hour, Sweep: 30 * time.Second,
	}
}

// Jobs make reports in the background and keep them for a while, in files of their
// own. What there is is known to this process alone: a restart forgets it. It is safe
// for use by several goroutines; Run must run.
type Jobs struct {
	maker  *Maker
	dir    string
	log    *slog.Logger
	now    func() time.Time
	limits Limits
	queue  chan *job

	mu    sync.Mutex
	jobs  map[string]*job
	order []*job // the oldest first
	bytes int64  // of all files
}

// NewJobs makes jobs whose files are in dir, which becomes theirs alone: what is in it
// is removed.
func NewJobs(maker *Maker, dir string, log *slog.Logger, now func() time.Time, limits Limits) (*Jobs, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing old reports: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of reports: %w", err)
	}
	return &Jobs{
		maker: maker, dir: dir, log: log, now: now, limits: limits,
		queue: make(chan *job, limits.Total), jobs: make(map[string]*job),
	}, nil
}

// Run makes the reports, and removes old ones, until ctx ends. Then all files are
// removed.
func (j *Jobs) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range j.limits.Running {
		workers.Go(func() {
			for {
				select {
				case one := <-j.queue:
					j.work(ctx, one)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	tick := time.NewTicker(j.limits.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.sweep(ctx)
		case <-ctx.Done():
			workers.Wait()
			return os.RemoveAll(j.dir)
		}
	}
}

// Start begins a report for the principal of ctx, who alone can see it. It returns at
// once.
func (j *Jobs) Start(ctx context.Context, r Request) (Job, error) {
	principal, ok := authz.From(ctx)
	if !ok {
		return Job{}, &domain.Error{Class: domain.ClassDenied, Code: authz.CodeUnauthenticated, Message: "nobody is authenticated"}
	}
	if err := r.Check(); err != nil {
		return Job{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.makeRoom(principal.Name); err != nil {
		return Job{}, err
	}
	one := &job{
		Job:   Job{ID: strings.ToLower(rand.Text()), Request: r, State: Queued, Created: j.now().UTC()},
		owner: principal.Name, over: make(chan struct{}),
	}
	one.path = filepath.Join(j.dir, one.ID)
	j.jobs[one.ID], j.order = one, append(j.order, one)
	j.queue <- one // has room for all jobs that there can be
	return one.Job, nil
}

// makeRoom forgets the oldest jobs that are over, as far as a new one needs their places.
func (j *Jobs) makeRoom(owner string) error {
	mine := 0
	for _, one := range j.order {
		if one.owner == owner {
			mine++
		}
	}
	if mine >= j.limits.Each && !j.forgetOldest(func(one *job) bool { return one.owner == owner }) {
		return crowded("you have asked for %d reports that are not done yet, which is the most for one", j.limits.Each)
	}
	if len(j.order) >= j.limits.Total && !j.forgetOldest(func(*job) bool { return true }) {
		return crowded("the server has %d reports to make already, which is its most", j.limits.Total)
	}
	return nil
}

func crowded(format string, args ...any) error {
	return &domain.Error{Class: domain.ClassRejected, Code: "too_many_reports", Message: fmt.Sprintf(format, args...)}
}

// forgetOldest reports whether there was one to forget.
func (j *Jobs) forgetOldest(which func(*job) bool) bool {
	for _, one := range j.order {
		if one.State.Over() && which(one) {
			j.forget(one)
			return true
		}
	}
	return false
}

func (j *Jobs) forget(one *job) {
	delete(j.jobs, one.ID)
	j.order = slices.DeleteFunc(j.order, func(other *job) bool { return other == one })
	j.bytes -= one.Bytes
	if err := removed(one.path); err != nil {
		j.log.Warn("a report was not removed", slog.String("path", one.path), slog.Any("error", err))
	}
}

func (j *Jobs) sweep(ctx context.Context) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	for _, one := range slices.Clone(j.order) {
		if one.State.Over() && !now.Before(one.Expires) {
			j.log.DebugContext(ctx, "a report is forgotten", slog.String("id", one.ID))
			j.forget(one)
		}
	}
}

// of finds a job of the principal of ctx. That of another is as good as none.
func (j *Jobs) of(ctx context.Context, id string) (*job, error) {
	principal, ok := authz.From(ctx)
	one := j.jobs[id]
	if !ok || one == nil || one.owner != principal.Name {
		return nil, errUnknown
	}
	return one, nil
}

// Job tells how far a job is.
func (j *Jobs) Job(ctx context.Context, id string) (Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one, err := j.of(ctx, id)
	if err != nil {
		return Job{}, err
	}
	return one.Job, nil
}

// Await waits until a job is over, at most so long, and tells how far it is then.
func (j *Jobs) Await(ctx context.Context, id string, most time.Duration) (Job, error) {
	j.mu.Lock()
	one, err := j.of(ctx, id)
	j.mu.Unlock()
	if err != nil {
		return Job{}, err
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-one.over:
	case <-timer.C:
	case <-ctx.Done():
		return Job{}, ctx.Err()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return one.Job, nil
}

// Open opens what a job has made. The caller closes it.
func (j *Jobs) Open(ctx context.Context, id string) (Content, Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one, err := j.of(ctx, id)
	if err != nil {
		return nil, Job{}, err
	}
	switch one.State {
	case Done:
	case Failed:
		return nil, one.Job, one.Err
	default:
		return nil, one.Job, &domain.Error{Class: domain.ClassConflict, Code: "report_not_done", Field: "id", Message: "the report is not done yet; ask for its job"}
	}
	file, err := os.Open(one.path)
	if err != nil {
		return nil, Job{}, fmt.Errorf("opening report %s: %w", id, err)
	}
	return file, one.Job, nil
}

// work makes one report.
func (j *Jobs) work(ctx context.Context, one *job) {
	j.mu.Lock()
	one.State = Running
	j.mu.Unlock()
	working, cancel := context.WithTimeoutCause(authz.With(ctx, authz.Principal{Name: one.owner}), j.limits.Time, errSlow)
	defer cancel()
	out, err := j.write(working, one)
	if err != nil && errors.Is(context.Cause(working), errSlow) {
		err = errSlow
	}
	if err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "a report was not made", slog.String("id", one.ID), slog.String("kind", string(one.Request.Kind)), slog.Any("error", err))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	one.Ended = j.now().UTC()
	one.Expires = one.Ended.Add(j.limits.Keep)
	if err != nil {
		j.bytes -= one.Bytes
		one.State, one.Err, one.Bytes = Failed, err, 0
		if err := removed(one.path); err != nil {
			j.log.WarnContext(ctx, "half a report was not removed", slog.String("path", one.path), slog.Any("error", err))
		}
	} else {
		one.State, one.File, one.SHA256, one.EventID, one.Rows, one.proof = Done, out.name, out.sha256, out.eventID, out.rows, out.proof
	}
	close(one.over)
}

var errSlow = &domain.Error{Class: domain.ClassRejected, Code: domain.CodeTooLarge, Message: "the report took too long and was given up; ask for a shorter window"}

func (j *Jobs) write(ctx context.Context, one *job) (out made, err error) {
	defer func() {
		if cause := recover(); cause != nil { // one report must not end the others
			err = fmt.Errorf("making report %s: panic: %v", one.ID, cause)
		}
	}()
	file, err := os.OpenFile(one.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return made{}, fmt.Errorf("making the file of report %s: %w", one.ID, err)
	}
	out, err = j.maker.make(ctx, one.ID, one.Request, &bounded{j, one, file}, &reporting{j, one})
	return out, cmp.Or(err, file.Close())
}

// bounded is a file of a job that may not grow for ever.
type bounded struct {
	jobs *Jobs
	job  *job
	file *os.File
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.jobs.take(b.job, int64(len(p))); err != nil {
		return 0, err
	}
	return b.file.Write(p)
}

// take counts what a file is about to grow by. Files of jobs that are done make room.
func (j *Jobs) take(one *job, n int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one.Bytes+n > j.limits.Bytes {
		return &domain.Error{Class: domain.ClassRejected, Code: domain.CodeTooLarge, Message: fmt.Sprintf("the report is longer than %d bytes; ask for a shorter window", j.limits.Bytes)}
	}
	for j.bytes+n > j.limits.AllByte {
		if !j.forgetOldest(func(*job) bool { return true }) {
			return &domain.Error{Class: domain.ClassTransient, Code: "reports_full", Message: "the reports under way fill the room that there is; try again"}
		}
	}
	one.Bytes += n
	j.bytes += n
	return nil
}

// reporting brings progress into a job, some rows at a time.
type reporting struct {
	jobs *Jobs
	job  *job
}

func (r *reporting) read(events int) {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	r.job.Events += int64(events)
}

func (r *reporting) row() {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	r.job.Rows++
}

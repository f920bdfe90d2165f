package report

import (
	"context"
	"errors"
)

// Write writes what is due.
func (s *Schedule) Write(ctx context.Context) error { return errors.Join(s.write(ctx)...) }

// Limit sets how many bytes a report may have.
func (s *Schedule) Limit(bytes int64) { s.limits.Bytes = bytes }

// LinkBy has a folder make links in this way.
func (s *Schedule) LinkBy(link func(file, as string) error) {
	s.shelf = &folder{dir: s.plan.Dir, link: link}
}

package report

import "context"

// Write writes what is due.
func (s *Schedule) Write(ctx context.Context) error { return s.write(ctx) }

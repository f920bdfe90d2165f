package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tradetrail/tradetrail/internal/durable"
)

// Shelf is where the reports of a schedule are for others.
type Shelf interface {
	// Ready tells whether reports can be put there. It is asked before one is made: what
	// is recorded and then can't appear would be for nothing.
	Ready(ctx context.Context) error
	// Has tells whether a report of this name is there, whoever has put it there.
	Has(ctx context.Context, name string) (bool, error)
	// Put makes a file appear there, of a media type: whole, or not at all. Where there is
	// one of that name it stays as it is, and the error is fs.ErrExist.
	Put(ctx context.Context, name, media, path string) error
}

// folder is a shelf on the disk on which the reports are made.
type folder struct {
	dir    string
	link   func(file, as string) error
	linked bool // it is known to take links
}

// Ready finds out whether the folder takes links.
func (f *folder) Ready(context.Context) error {
	if f.linked {
		return nil
	}
	file, err := os.CreateTemp(f.dir, ".link-*.partial")
	if err != nil {
		return fmt.Errorf("trying the folder of scheduled reports: %w", err)
	}
	link := strings.TrimSuffix(file.Name(), ".partial") + ".link.partial"
	if err = cmp.Or(file.Close(), f.link(file.Name(), link)); err != nil {
		err = fmt.Errorf("the folder of scheduled reports must take hard links, by which a file appears whole and over no other: %w", err)
	}
	err = cmp.Or(err, removed(link), removed(file.Name()))
	f.linked = err == nil
	return err
}

func (f *folder) Has(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for a scheduled report: %w", err)
	}
	return true, nil
}

func (f *folder) Put(_ context.Context, name, _, path string) error {
	if err := f.link(path, filepath.Join(f.dir, name)); err != nil {
		return fmt.Errorf("writing a scheduled report: %w", err)
	}
	return durable.SyncDir(f.dir)
}

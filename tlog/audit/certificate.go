package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Signer signs certificates: the key of the log.
type Signer = note.Signer

const (
	certificateDir = "certificates"
	dayLayout      = time.DateOnly
	// grace is how long after a day a certificate waits for its last events.
	grace = time.Minute
)

func certificateName(day string) string { return path.Join(certificateDir, day+".txt") }

// certify signs certificates of the days that are over, one after the other. What was
// verified just now is in the report.
func (a *Auditor) certify(ctx context.Context, r Report) error {
	if r.Size == 0 {
		return nil
	}
	root, err := os.OpenRoot(a.subject.Dir)
	if err != nil {
		return fmt.Errorf("opening the folder of certificates: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing is open in it
	unlock, err := lock(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	source, err := tiles.OpenFolder(a.subject.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	days := &calendar{tree: tiles.New(source).At(r.Size)}
	last, before, err := newestCertificate(root)
	if err != nil {
		return err
	}
	first := uint64(0)
	if !last.IsZero() {
		if first, err = days.find(ctx, last.AddDate(0, 0, 1)); err != nil {
			return err
		}
	}
	for first < r.Size && ctx.Err() == nil {
		c, over, err := certificateFrom(ctx, days, first, r)
		if err != nil || !over {
			return err
		}
		c.Before = before
		if before, err = a.issue(ctx, root, c); err != nil {
			return err
		}
		first = c.First + c.Count
	}
	return ctx.Err()
}

// certificateFrom is that of the day on which a leaf was taken; a day without any has
// none. The day is over when the verification began after it and has met a leaf that was
// taken after it: a clock that was ahead for a moment ends no day, nor does a store that
// was quiet when it was read.
func certificateFrom(ctx context.Context, days *calendar, first uint64, r Report) (c verify.Completeness, over bool, err error) {
	taken, err := days.created(ctx, first)
	if err != nil {
		return c, false, err
	}
	day := taken.Truncate(24 * time.Hour)
	end := day.AddDate(0, 0, 1)
	if r.Began.Before(end.Add(grace)) {
		return c, false, nil
	}
	behind, err := days.find(ctx, end)
	if err != nil || behind <= first || behind == r.Size {
		return c, false, err
	}
	return verify.Completeness{
		Checkpoint: verify.Checkpoint{Origin: r.Origin, Size: r.Size, Root: r.Root}, Day: day.Format(dayLayout), First: first, Count: behind - first,
	}, true, nil
}

// issue signs a certificate, records that, and keeps it. In this order: what is kept
// was recorded, and recording it again changes nothing.
func (a *Auditor) issue(ctx context.Context, root *os.Root, c verify.Completeness) (sum string, err error) {
	signed, err := note.Sign(&note.Note{Text: c.Text()}, a.signer)
	if err != nil {
		return "", fmt.Errorf("signing the certificate of %s: %w", c.Day, err)
	}
	digest := sha256.Sum256(signed)
	sum = hex.EncodeToString(digest[:])
	end, err := time.Parse(dayLayout, c.Day)
	if err != nil {
		return "", fmt.Errorf("certifying %s: %w", c.Day, err)
	}
	e := event(domain.DeriveID(source, c.Origin, "certificate "+c.Day), domain.IntegrityCertified, c.Origin, end.AddDate(0, 0, 1), map[string]any{
		"day": c.Day, "first": c.First, "count": c.Count,
	})
	if err := a.recorder.Record(ctx, e); err != nil {
		return "", err
	}
	if err := root.Mkdir(certificateDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("keeping the certificate of %s: %w", c.Day, err)
	}
	if err := durable.Replace(filepath.Join(root.Name(), certificateName(c.Day)), signed, 0o644); err != nil {
		return "", err
	}
	a.metrics.certificates.Inc()
	a.log.InfoContext(ctx, "certified a day", slog.String("day", c.Day), slog.Uint64("events", c.Count))
	return sum, nil
}

// certificateFiles are the names of the certificates, by day.
func certificateFiles(root *os.Root) (names []string, err error) {
	files, err := fs.ReadDir(root.FS(), certificateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the folder of certificates: %w", err)
	}
	for _, file := range files { // sorted
		if _, err := time.Parse(dayLayout+".txt", file.Name()); err == nil {
			names = append(names, file.Name())
		}
	}
	return names, nil
}

// newestCertificate is the day of the last one and its SHA-256; zero without any. That it
// is the log's was verified just now.
func newestCertificate(root *os.Root) (day time.Time, sum string, err error) {
	names, err := certificateFiles(root)
	if err != nil || len(names) == 0 {
		return day, "", err
	}
	newest := names[len(names)-1]
	if day, err = time.Parse(dayLayout+".txt", newest); err != nil {
		return day, "", fmt.Errorf("reading the folder of certificates: %w", err)
	}
	text, err := readBounded(root, path.Join(certificateDir, newest))
	if err != nil {
		return day, "", fmt.Errorf("reading the certificate of %s: %w", newest, err)
	}
	digest := sha256.Sum256(text)
	return day, hex.EncodeToString(digest[:]), nil
}

// calendar finds days in a log. Where its store's clock went back over midnight it finds
// one of the places at which the day changes.
type calendar struct{ tree tiles.Tree }

func (c *calendar) created(ctx context.Context, index uint64) (time.Time, error) {
	text, err := c.tree.Leaf(ctx, index)
	if err != nil {
		return time.Time{}, err
	}
	leaf, err := verify.ParseLeaf(text)
	return leaf.Created.UTC(), err
}

// find is the index of the first leaf at or after a time.
func (c *calendar) find(ctx context.Context, t time.Time) (index uint64, err error) {
	found := sort.Search(int(c.tree.Size()), func(i int) bool { //nolint:gosec // far below 2^63
		if err != nil {
			return true
		}
		var at time.Time
		at, err = c.created(ctx, uint64(i)) //nolint:gosec // not negative
		return err != nil || !at.Before(t)
	})
	return uint64(found), err //nolint:gosec // not negative
}

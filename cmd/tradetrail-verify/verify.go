package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
	"github.com/tradetrail/tradetrail/tlog/verify/evidence"
)

// outcome is the verdict on one file, or on an archive.
type outcome struct {
	one     verify.Verdict
	archive *evidence.Verdict // nil for one file
	shown   shown
}

func (o outcome) verified() bool {
	if o.archive != nil {
		return o.archive.Verified
	}
	return o.one.Verified
}

// verify judges the file by what it is. The error is one of reading; what is wrong
// with the file is in the outcome.
func (r *request) verify(ctx context.Context) (out outcome, err error) {
	if r.log != "" {
		log, done, err := openLog(r.log)
		if err != nil {
			return out, err
		}
		defer done()
		r.trust.Extension = extension(ctx, log)
	}
	file, err := os.Open(r.file)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from := bufio.NewReaderSize(file, 1<<16)
	head, err := from.Peek(evidence.HeadBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return out, err
	}
	kind := evidence.KindOf(r.file, head)
	switch kind {
	case evidence.Report, evidence.Zip, evidence.Tar:
		return r.whole(kind, file)
	case evidence.Certificate:
		out.one, err = verify.Certificate(from, r.trust)
	default:
		out.one, err = verify.Bundle(from, r.trust, out.shown.entry)
	}
	if domain.ClassOf(err) == domain.ClassIntegrity {
		out.one = verify.Verdict{Proven: []string{}, NotProven: []string{}, Failures: []*verify.Failure{{What: verify.Inconsistent, Message: err.Error()}}}
		err = nil
	}
	return out, err
}

// whole judges what must be read from more than one place.
func (r *request) whole(kind evidence.Kind, file *os.File) (out outcome, err error) {
	about, err := file.Stat()
	if err != nil {
		return out, err
	}
	if !about.Mode().IsRegular() {
		return out, fmt.Errorf("%s is no regular file: a PDF or an archive is read more than once", r.file)
	}
	if kind == evidence.Report {
		out.one, err = verify.Report(func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, about.Size())), nil }, r.trust, out.shown.entry)
		return out, err
	}
	archive, err := evidence.Archive(kind, file, about.Size(), r.trust)
	out.archive = &archive
	return out, err
}

func openLog(place string) (*tiles.Log, func(), error) {
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		base, err := url.Parse(place)
		if err != nil {
			return nil, nil, fmt.Errorf("--log: %w", err)
		}
		client := &http.Client{Timeout: time.Minute}
		return tiles.New(tiles.NewServer(base, client)), client.CloseIdleConnections, nil
	}
	folder, err := tiles.OpenFolder(place)
	if err != nil {
		return nil, nil, err
	}
	return tiles.New(folder), func() { _ = folder.Close() }, nil // it was only read
}

func extension(ctx context.Context, log *tiles.Log) func(smaller, larger uint64) ([]verify.Digest, error) {
	return func(smaller, larger uint64) ([]verify.Digest, error) {
		raw, err := log.At(larger).Consistency(ctx, smaller)
		if err != nil {
			return nil, err
		}
		hashes := make([]verify.Digest, len(raw))
		for i := range raw {
			hashes[i] = verify.Digest(raw[i])
		}
		return hashes, nil
	}
}

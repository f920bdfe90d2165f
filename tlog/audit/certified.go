package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// recentCertificates are looked at by a verification of what is new; all by a full one.
const recentCertificates = 3

// certified is a certificate that was read.
type certified struct {
	day   string
	where string
	end   time.Time // of the day
}

// readCertificates looks at whether the certificates are signed by the log's keys and
// each continues the one before, and has their roots compared with the tree. They are to
// be read before the size of the log, for they are of earlier ones.
func (v *verification) readCertificates() error {
	if v.scope.Round > 0 {
		return nil
	}
	names, err := certificateFiles(v.root)
	if err != nil {
		return err
	}
	if newest := v.before.Certified; newest != "" && (len(names) == 0 || names[len(names)-1] < newest+".txt") {
		v.found.add(Finding{Kind: Certified, Where: certificateName(newest), Text: "an earlier verification read it, and neither it nor one of a later day is there"})
	}
	from := 0
	if !v.scope.Full && v.before.Head.Size > 0 {
		from = max(0, len(names)-recentCertificates)
	}
	var before *string // what the next one must say of the one before it
	if from == 0 {
		before = new("")
	}
	for _, name := range names[from:] {
		text, err := readBounded(v.root, path.Join(certificateDir, name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, tlog.ErrTooLong) {
			v.found.add(Finding{Kind: Certified, Where: path.Join(certificateDir, name), Text: err.Error()})
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the certificate of %s: %w", name, err)
		}
		v.readCertificate(strings.TrimSuffix(name, ".txt"), string(text), before)
		sum := sha256.Sum256(text)
		before = new(hex.EncodeToString(sum[:]))
	}
	return nil
}

// readCertificate reads one. before is what it must say of the one before, and nil if
// that was not read.
func (v *verification) readCertificate(day, text string, before *string) {
	where := certificateName(day)
	wrong := func(format string, args ...any) {
		v.found.add(Finding{Kind: Certified, Where: where, Text: fmt.Sprintf(format, args...)})
	}
	c, err := verify.ParseCertificate(text)
	if err == nil {
		err = v.signedByLog(text)
	}
	end, problem := time.Parse(dayLayout, day)
	switch {
	case err != nil:
		wrong("%v", err)
		return
	case problem != nil || c.Day != day:
		wrong("it is of %s", c.Day)
	case c.Origin != v.keys.Origin():
		wrong("it is of the log %q", c.Origin)
	case before != nil && c.Before != *before:
		wrong("it does not continue the certificate before it, which is missing or was changed")
	}
	v.outside = append(v.outside, seen{tlog.Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root}, where})
	v.certified = certified{day, where, end.AddDate(0, 0, 1)}
}

// signedByLog looks for a signature by any of the log's keys: a process that waits to take
// over with a new one certifies too.
func (v *verification) signedByLog(text string) error {
	all := make([]note.Verifier, len(v.keys))
	for i, key := range v.keys {
		var err error
		if all[i], err = note.NewVerifier(key.Verifier); err != nil {
			return err
		}
	}
	_, err := note.Open([]byte(text), note.VerifierList(all...))
	return err
}

// compareDay looks at whether the day of the newest certificate is over: by our clock, or
// by that of the store when it took the newest event.
func (v *verification) compareDay(ctx context.Context, p *pass) error {
	c := v.certified
	if c.day == "" || !c.end.After(v.subject.Now()) {
		return nil
	}
	if p.size > 0 {
		last, err := (&calendar{tree: p.tree}).created(ctx, p.size-1)
		if err != nil || !c.end.After(last) {
			return nil //nolint:nilerr // the leaf is found to be damaged on the way
		}
	}
	v.found.add(Finding{Kind: Certified, Where: c.where, Text: "it is of a day that is not over"})
	return nil
}

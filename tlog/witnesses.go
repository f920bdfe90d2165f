package tlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/internal/durable"
)

// How long witnesses are waited for, and what they may answer at most.
const (
	witnessPatience = 10 * time.Second
	witnessAnswer   = 64 << 10
	witnessRetry    = time.Second
	witnessRest     = time.Minute
)

// Witnesses are others that cosign checkpoints, by the protocol of
// https://c2sp.org/tlog-witness, and how many of them it takes.
type Witnesses struct {
	group     tessera.WitnessGroup
	transport http.RoundTripper
}

// ParseWitnesses reads a policy, as Tessera does: lines "witness NAME VKEY URL",
// "group NAME COUNT|any|all NAME..." and "quorum NAME"; keys are of cosignatures.
func ParseWitnesses(policy []byte, transport http.RoundTripper) (*Witnesses, error) {
	group, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "witness-policy", "reading the policy: %v", err)
	}
	if len(group.Endpoints()) == 0 {
		return nil, domain.Rejectf(domain.CodeMissing, "witness-policy", "the quorum of the policy names no witness")
	}
	return &Witnesses{group, brief{transport}}, nil
}

// brief cuts long answers off.
type brief struct{ http.RoundTripper }

func (b brief) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, witnessAnswer), response.Body}
	}
	return response, err
}

// Satisfied says whether a signed note has the cosignatures that the policy asks for.
func (w *Witnesses) Satisfied(signed string) bool { return w.group.Satisfied([]byte(signed)) }

// cosigned reads the newest checkpoint that witnesses have signed; it is zero when there is
// none, or when those who signed it are not those of the policy, who are then asked anew.
func (l *Log) cosigned(ctx context.Context) (Checkpoint, error) {
	c, err := l.witnessed(ctx)
	if w := l.options.Witnesses; err != nil || w != nil && c.Note != "" && !w.Satisfied(c.Note) {
		return Checkpoint{}, err
	}
	return c, nil
}

// cosign asks the witnesses for each checkpoint that is the newest when they have
// answered the last one, until ctx ends. They hold nothing up.
func (l *Log) cosign(ctx context.Context, tiles tessera.LogReader) error {
	for attempt := 0; ; {
		state, changed := l.board.State()
		if state.Sealed.Size <= state.Witnessed.Size {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := l.cosignOne(ctx, tiles, state)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			attempt = 0
			continue
		}
		l.metrics.unwitnessed.Inc()
		l.options.Logger.WarnContext(ctx, "witnesses have not cosigned", slog.Uint64("size", state.Sealed.Size), slog.Any("error", err))
		if err := backoff.Wait(ctx, attempt, witnessRetry, witnessRest); err != nil {
			return err
		}
		attempt++
	}
}

func (l *Log) cosignOne(ctx context.Context, tiles tessera.LogReader, state State) error {
	c := state.Sealed
	own, err := signatureOf(c.Note)
	if err != nil {
		return err
	}
	refused := &refusals{RoundTripper: l.options.Witnesses.transport, size: c.Size}
	publish := tessera.NewAppendOptions().WithCheckpointSigner(own).
		WithWitnesses(l.options.Witnesses.group, &tessera.WitnessOptions{Timeout: witnessPatience}).
		CheckpointPublisher(cosigned{tiles, state.Witnessed.Note}, &http.Client{Transport: refused})
	signed, err := publish(ctx, c.Size, c.Root[:])
	if refused.seen.Load() {
		l.metrics.contradicted.Inc()
		l.options.Logger.ErrorContext(ctx, "a witness says that this log does not continue what it has cosigned", slog.Uint64("size", c.Size))
	}
	if err != nil {
		return fmt.Errorf("asking witnesses: %w", err)
	}
	c.Note = string(signed)
	if again, err := parseNote(c.Note); err != nil || again.Size != c.Size || again.Root != c.Root {
		return domain.Rejectf(domain.CodeInvalid, "", "witnesses have cosigned something else than the checkpoint of %d leaves", c.Size)
	}
	if err := durable.Replace(filepath.Join(l.place.Dir, witnessedFile), signed, publicMode); err != nil {
		return err
	}
	l.metrics.witnessed.Set(float64(c.Size))
	l.board.Post(State{Sealed: state.Sealed, Witnessed: c})
	return nil
}

// cosigned tells Tessera which checkpoint the witnesses have seen last.
type cosigned struct {
	tessera.LogReader

	last string
}

func (c cosigned) ReadCheckpoint(context.Context) ([]byte, error) {
	if c.last == "" {
		return nil, os.ErrNotExist
	}
	return []byte(c.last), nil
}

// signatureOf is a signer that gives the signature that a note has already, for
// Tessera would sign again.
func signatureOf(signed string) (note.Signer, error) {
	n, err := note.Open([]byte(signed), note.VerifierList())
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		n = unverified.Note
	} else if err != nil {
		return nil, fmt.Errorf("reading a checkpoint: %w", err)
	}
	if len(n.UnverifiedSigs) != 1 {
		return nil, domain.Rejectf(domain.CodeInvalid, "", "a checkpoint with %d signatures is not the log's", len(n.UnverifiedSigs))
	}
	own := n.UnverifiedSigs[0]
	signature, err := base64.StdEncoding.DecodeString(own.Base64)
	if err != nil || len(signature) < 4 {
		return nil, domain.Rejectf(domain.CodeInvalid, "", "the signature of a checkpoint can't be read")
	}
	return signedAlready{own.Name, own.Hash, signature[4:]}, nil
}

type signedAlready struct {
	name      string
	hash      uint32
	signature []byte
}

func (s signedAlready) Name() string { return s.name }

func (s signedAlready) KeyHash() uint32 { return s.hash }

func (s signedAlready) Sign([]byte) ([]byte, error) { return s.signature, nil }

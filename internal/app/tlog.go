package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// sealing is the transparency log in this process: written here, or watched.
type sealing struct {
	view     tlog.View
	files    rest.LogFiles   // nil where the log is not
	prover   *prove.Prover   // likewise
	reporter *prove.Reporter // likewise
	key      tlog.Key
	salt     []byte
	// authorities are the roots of the time-stamping authority; nil without one.
	authorities *x509.CertPool
	witnesses   *tlog.Witnesses // of the policy; nil without one
	components  []component
	checks      []rest.Check
}

// openLog opens the log that this process writes, and makes it on the first start;
// a process that writes none learns of it over Redis.
func (a *App) openLog(store *eventstore.Store, client redis.UniversalClient) (sealing, error) {
	board := new(tlog.Board)
	if a.cfg.TLog == config.TLogRead {
		return a.readLog(store, board)
	}
	if !a.cfg.WritesLog() {
		return sealing{view: tlog.NewView(board, nil), components: []component{
			{name: "watching the transparency log", run: func(ctx context.Context) error { return tlog.Watch(ctx, client, board, a.log) }},
		}}, nil
	}
	place := tlog.Place{Dir: a.cfg.LogDir(), SaltKey: a.cfg.SaltKeyFile()}
	key, err := a.logKey(place)
	if err != nil {
		return sealing{}, err
	}
	witnesses, err := readWitnesses(a.cfg.WitnessPolicy)
	if err != nil {
		return sealing{}, err
	}
	timestamps, authorities, err := a.openAuthority()
	if err != nil {
		return sealing{}, err
	}
	log, err := tlog.Open(place, store, board, tlog.Options{Key: key, Now: time.Now, Logger: a.log, Registry: a.registry, Witnesses: witnesses, Timestamps: timestamps})
	if err != nil {
		return sealing{}, err
	}
	a.atStop("transparency log", func(context.Context) error { return log.Close() })
	prover, salt, err := newProver(store, log.Reader, place)
	if err != nil {
		return sealing{}, err
	}
	return sealing{
		view: tlog.NewView(board, log.Reader), files: log.Reader, prover: prover, key: key, salt: salt, authorities: authorities, witnesses: witnesses,
		reporter: prove.NewReporter(prover, key.Signer(), func(ctx context.Context, p domain.Position) error { return board.Await(ctx, p, reportPatience) }),
		components: []component{
			{name: "transparency log", run: log.Run},
			{name: "sharing the transparency log", run: func(ctx context.Context) error { return tlog.Share(ctx, client, board, a.log) }},
		},
		checks: []rest.Check{{Name: "tlog", Ready: func(context.Context) error { return log.Ready() }}},
	}, nil
}

// readLog opens the log that stands in the folder, if one does, as it is.
func (a *App) readLog(store *eventstore.Store, board *tlog.Board) (sealing, error) {
	place := tlog.Place{Dir: a.cfg.LogDir(), SaltKey: a.cfg.SaltKeyFile()}
	if exists, err := place.Exists(); err != nil || !exists {
		return sealing{view: tlog.NewView(board, nil)}, err
	}
	reader, err := tlog.OpenReader(place.Dir)
	if err != nil {
		return sealing{}, err
	}
	a.atStop("transparency log", func(context.Context) error { return reader.Close() })
	state, err := reader.State(context.Background())
	if err != nil {
		return sealing{}, err
	}
	board.Post(state)
	prover, salt, err := newProver(store, reader, place)
	if err != nil {
		return sealing{}, err
	}
	signer, err := a.readSigner(place.Dir)
	if err != nil {
		return sealing{}, err
	}
	return sealing{view: tlog.NewView(board, reader), files: reader, prover: prover, salt: salt, reporter: prove.NewReporter(prover, signer, nil)}, nil
}

// reportPatience is how long a report waits for its newest events to be sealed.
const reportPatience = 2 * time.Second

// readSigner is the newest key of a log that is only read, for sealing reports: nil
// where it is not kept beside the log.
func (a *App) readSigner(dir string) (note.Signer, error) {
	key, err := tlog.ReadKey(a.cfg.LogKeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // as NewReporter takes it
	}
	if err != nil {
		return nil, err
	}
	listed, err := tlog.ReadKeys(dir)
	if err != nil || listed[len(listed)-1].Verifier != key.Verifier() {
		return nil, err
	}
	return key.Signer(), nil
}

// proofs are what the prover has for principals; nil where there is no log.
func (s sealing) proofs(policy authz.Policy) rest.Proofs {
	if s.prover == nil {
		return nil
	}
	return authz.NewProofs(s.prover, policy)
}

// newProver proves from a log that is open, with the keys that it has at the time.
func newProver(store *eventstore.Store, log *tlog.Reader, place tlog.Place) (prover *prove.Prover, salt []byte, err error) {
	if salt, err = tlog.ReadSaltKey(place.SaltKey); err != nil {
		return nil, nil, err
	}
	keys := func() (verify.Keys, error) {
		listed, err := tlog.ReadKeys(place.Dir)
		if err != nil {
			return nil, err
		}
		return listed.Verifying()
	}
	if _, err := keys(); err != nil {
		return nil, nil, err
	}
	return prove.New(store, log.Tiles(), salt, keys).WithTimestamps(log), salt, nil
}

// openAuthority opens the time-stamping authority of a configuration that names one.
func (a *App) openAuthority() (*tlog.Timestamps, *x509.CertPool, error) {
	if a.cfg.TSAURL == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(a.cfg.TSARoots)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the roots of the time-stamping authority: %w", err)
	}
	roots, err := stamp.ParseRoots(text)
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute}
	authority, err := stamp.NewAuthority(a.cfg.TSAURL, roots, transport, time.Now)
	if err != nil {
		return nil, nil, err
	}
	a.atStop("time-stamping authority", func(context.Context) error { transport.CloseIdleConnections(); return nil })
	return &tlog.Timestamps{Authority: authority, Every: a.cfg.TSAEvery}, roots, nil
}

// readWitnesses reads the policy, if there is one.
func readWitnesses(path string) (*tlog.Witnesses, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // nobody cosigns
	}
	policy, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the policy of witnesses: %w", err)
	}
	return tlog.ParseWitnesses(policy, http.DefaultTransport)
}

// logKey reads the key of the log. The first start makes the log, and its key if
// the configuration names none.
func (a *App) logKey(place tlog.Place) (tlog.Key, error) {
	exists, err := place.Exists()
	if err != nil {
		return tlog.Key{}, err
	}
	key, err := tlog.ReadKey(a.cfg.LogKeyFile())
	if errors.Is(err, fs.ErrNotExist) && !exists && a.cfg.LogKey == "" {
		key, err = newLogKey(a.cfg)
	}
	if err != nil || exists {
		return key, err
	}
	ctx := context.Background()
	if err := tlog.Create(ctx, place, key, time.Now); err != nil {
		return key, err
	}
	a.log.InfoContext(ctx, "made a transparency log", slog.String("folder", place.Dir), slog.String("vkey", key.Verifier()))
	return key, nil
}

func newLogKey(cfg config.Config) (tlog.Key, error) {
	key, err := tlog.NewKey(cfg.LogOrigin)
	if err != nil {
		return key, err
	}
	return key, tlog.WriteKey(cfg.LogKeyFile(), key)
}

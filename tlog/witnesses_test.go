package tlog_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog"
)

// witness cosigns what continues the log that it has seen.
type witness struct {
	log    note.Verifier
	signer *fnote.Signer
	policy string
	away   atomic.Bool
	size   uint64
	root   []byte
}

func newWitness(t *testing.T, vkey string) *witness {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "witness.example/1")
	require.NoError(t, err)
	w := new(witness)
	w.signer, err = fnote.NewSignerForCosignatureV1(private)
	require.NoError(t, err)
	w.log, err = note.NewVerifier(vkey)
	require.NoError(t, err)
	public, err = fnote.VKeyToCosignatureV1(public)
	require.NoError(t, err)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.policy = fmt.Sprintf("witness w1 %s %s\ngroup g 1 w1\nquorum g\n", public, server.URL)
	return w
}

func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if w.away.Load() {
		http.Error(out, "away", http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(r.Body)
	head, signed, _ := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	var old uint64
	_, _ = fmt.Sscanf(lines[0], "old %d", &old)
	if old != w.size {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintf(out, "%d\n", w.size)
		return
	}
	n, err := note.Open([]byte(signed), note.VerifierList(w.log))
	if err != nil {
		http.Error(out, err.Error(), http.StatusForbidden)
		return
	}
	text := strings.Split(n.Text, "\n")
	var size uint64
	_, _ = fmt.Sscan(text[1], &size)
	root, _ := base64.StdEncoding.DecodeString(text[2])
	if w.size > 0 {
		var hashes [][]byte
		for _, line := range lines[1:] {
			hash, _ := base64.StdEncoding.DecodeString(line)
			hashes = append(hashes, hash)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, w.size, size, hashes, w.root, root); err != nil {
			http.Error(out, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	cosigned, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	w.size, w.root = size, root
	_, signature, _ := strings.Cut(string(cosigned), "\n\n")
	_, _ = io.WriteString(out, signature)
}

// witnessed waits until so many leaves are.
func (w *world) witnessed(n int) tlog.State {
	w.t.Helper()
	var state tlog.State
	require.Eventually(w.t, func() bool {
		state, _ = w.board.State()
		return state.Witnessed.Size >= uint64(n)
	}, 30*time.Second, 2*time.Millisecond)
	return state
}

func TestLog_WitnessesCosignWithoutHoldingUp(t *testing.T) {
	w := newWorld(t)
	others := newWitness(t, w.key.Verifier())
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	var err error
	w.witnesses, err = tlog.ParseWitnesses([]byte(others.policy), transport)
	require.NoError(t, err)

	others.away.Store(true)
	l := w.run()
	w.record(3)
	state := w.sealed(3)
	assert.Equal(t, tlog.Sealed, state.Of(state.Sealed.Last))
	assert.Empty(t, state.Sealed.Witnesses())
	others.away.Store(false)
	state = w.witnessed(3)
	assert.Equal(t, tlog.Witnessed, state.Of(state.Sealed.Last))
	assert.Equal(t, []string{"witness.example/1"}, state.Witnessed.Witnesses())
	w.record(600)
	w.sealed(603)
	w.witnessed(603)
	require.NoError(t, l.stop())

	w.board = new(tlog.Board)
	l = w.run()
	require.Equal(t, uint64(603), w.sealed(603).Witnessed.Size, "a start remembers")
	w.record(1)
	w.witnessed(604)
	require.NoError(t, l.stop())
	w.check(604)
}

// A witness that has seen more of a log, or another one, is not merely away.
func TestLog_WitnessHasSeenAnotherLog(t *testing.T) {
	for name, see := range map[string]func(*witness){
		"it has seen more":        func(w *witness) { w.size, w.root = 1000, make([]byte, 32) },
		"it has seen another one": func(w *witness) { w.size, w.root = 2, make([]byte, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			others := newWitness(t, w.key.Verifier())
			see(others)
			transport := new(http.Transport)
			t.Cleanup(transport.CloseIdleConnections)
			var err error
			w.witnesses, err = tlog.ParseWitnesses([]byte(others.policy), transport)
			require.NoError(t, err)
			w.registry = prometheus.NewRegistry()
			w.record(3)
			l := w.run()
			w.sealed(3)
			require.Eventually(t, func() bool { return w.counted(t, "tradetrail_tlog_witness_contradictions_total") > 0 }, 30*time.Second, 2*time.Millisecond)
			require.NoError(t, l.Ready(), "an answer that nobody signs stops nothing")
			require.NoError(t, l.stop())
		})
	}
}

// counted is what a counter of the world's registry says.
func (w *world) counted(t *testing.T, name string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

func TestParseWitnesses_NeedsAQuorum(t *testing.T) {
	for _, policy := range []string{"", "quorum none\n", "witness a b c\n", "quorum x\n"} {
		_, err := tlog.ParseWitnesses([]byte(policy), http.DefaultTransport)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), "%q: %v", policy, err)
	}
}

// What lies there without the cosignatures of the policy is not witnessed.
func TestLog_CosignaturesAreThoseOfThePolicy(t *testing.T) {
	w := newWorld(t)
	w.record(3)
	l := w.run()
	w.sealed(3)
	require.NoError(t, l.stop())
	text, err := os.ReadFile(filepath.Join(w.place.Dir, "checkpoint"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, "checkpoint.witnessed"), text, 0o600))

	others := newWitness(t, w.key.Verifier())
	others.away.Store(true)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	w.witnesses, err = tlog.ParseWitnesses([]byte(others.policy), transport)
	require.NoError(t, err)
	w.board = new(tlog.Board)
	l = w.run()
	state := w.sealed(3)
	assert.Equal(t, tlog.Sealed, state.Of(state.Sealed.Last))
	others.away.Store(false)
	w.witnessed(3)
	require.NoError(t, l.stop())
}

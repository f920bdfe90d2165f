package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Keys are fixed, so that the golden bundle is.
var (
	logSecret, logKey         = keyOf("log.example/trading", 1)
	otherSecret, otherKey     = keyOf("log.example/trading", 2)
	witnessSecret, witnessKey = keyOf("witness.example", 3)
)

func keyOf(name string, seed byte) (secret, verifier string) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	verifier, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey)) //nolint:errcheck // that is what it has
	if err != nil {
		panic(err)
	}
	hash := strings.Split(verifier, "+")[1]
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))), verifier
}

// ledger is a log in memory, computed without tiles.
type ledger struct {
	leaves   []verify.Leaf
	payloads []verify.Payload
}

var began = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)

// newLedger has an event a second, of three orders and a recommendation.
func newLedger(count int) *ledger {
	l := &ledger{}
	revisions := map[string]uint64{}
	for i := range count {
		stream := []string{"order-A", "order-B", "recommendation-r1", "order-A", "order-C"}[i%5]
		l.add(stream, revisions[stream], began.Add(time.Duration(i)*time.Second), fmt.Sprintf(`{"n":%d,"text":"ä<&>"}`, i))
		revisions[stream]++
	}
	return l
}

func (l *ledger) add(stream string, revision uint64, created time.Time, data string) {
	place := uint64(len(l.leaves)+1) * 100
	id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, len(l.leaves)))
	payload := verify.Payload{Type: "order.filled", Data: []byte(data), Metadata: []byte(`{"$correlationId":"c"}`)}
	l.leaves = append(l.leaves, verify.Leaf{
		Position: domain.Position{Commit: place, Prepare: place}, Stream: stream, Revision: revision, ID: id, Created: created,
		Digest: verify.DigestOf(l.salt(stream, revision, id), payload),
	})
	l.payloads = append(l.payloads, payload)
}

func (*ledger) salt(stream string, revision uint64, id uuid.UUID) verify.Salt {
	return verify.SaltOf([]byte("salt key"), stream, revision, id)
}

func (l *ledger) hash(s verify.Span) verify.Digest {
	if s.Begin == s.End {
		return sha256.Sum256(nil)
	}
	if s.End-s.Begin == 1 {
		return verify.LeafHash(l.leaves[s.Begin].Marshal())
	}
	half := uint64(1)
	for half*2 < s.End-s.Begin {
		half *= 2
	}
	left, right := l.hash(verify.Span{Begin: s.Begin, End: s.Begin + half}), l.hash(verify.Span{Begin: s.Begin + half, End: s.End})
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// consistency follows RFC 6962, 2.1.2, to the letter.
func (l *ledger) consistency(older uint64, within verify.Span, whole bool) []verify.Digest {
	if older == within.End {
		if whole {
			return nil
		}
		return []verify.Digest{l.hash(within)}
	}
	half := uint64(1)
	for half*2 < within.End-within.Begin {
		half *= 2
	}
	middle := within.Begin + half
	left, right := verify.Span{Begin: within.Begin, End: middle}, verify.Span{Begin: middle, End: within.End}
	if older <= middle {
		return append(l.consistency(older, left, whole), l.hash(right))
	}
	return append(l.consistency(older, right, false), l.hash(left))
}

func (l *ledger) size() uint64 { return uint64(len(l.leaves)) }

func (l *ledger) checkpoint(tb require.TestingT, size uint64, secrets ...string) string {
	text := fmt.Sprintf("log.example/trading\n%d\n%s\n", size, l.hash(verify.Span{End: size}))
	var signers []note.Signer
	for _, secret := range secrets {
		signer, err := note.NewSigner(secret)
		require.NoError(tb, err)
		if secret == witnessSecret {
			signer, err = fnote.NewSignerForCosignatureV1(secret)
			require.NoError(tb, err)
		}
		signers = append(signers, signer)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	require.NoError(tb, err)
	return string(signed)
}

func (l *ledger) run(begin, end uint64, said bool) verify.Run {
	r := verify.Run{Begin: begin, Beside: []verify.Digest{}}
	for _, s := range verify.Beside(begin, end, l.size()) {
		r.Beside = append(r.Beside, l.hash(s))
	}
	for i := begin; i < end; i++ {
		r.Entries = append(r.Entries, l.entry(i, said))
	}
	return r
}

func (l *ledger) entry(index uint64, said bool) verify.Entry {
	leaf, p := l.leaves[index], l.payloads[index]
	e := verify.Entry{Leaf: string(leaf.Marshal())}
	if said {
		e.Said = &verify.Said{Salt: l.salt(leaf.Stream, leaf.Revision, leaf.ID), Type: p.Type, Data: bytes.Clone(p.Data), Metadata: bytes.Clone(p.Metadata)}
	}
	return e
}

// bundle is a whole bundle, to be manipulated before it is written.
type bundle struct {
	verify.Header

	runs []verify.Run
}

func (l *ledger) bundle(tb require.TestingT, kind string, subject verify.Subject, runs ...verify.Run) bundle {
	return bundle{verify.Header{
		Kind: kind, Subject: subject, Origin: "log.example/trading", Key: logKey, Checkpoint: l.checkpoint(tb, l.size(), logSecret),
	}, runs}
}

func (l *ledger) event(tb require.TestingT, index uint64) bundle {
	return l.bundle(tb, verify.KindEvent, verify.Subject{Event: l.leaves[index].ID.String()}, l.run(index, index+1, true))
}

func (l *ledger) chain(tb require.TestingT, order string) bundle {
	var runs []verify.Run
	for i, leaf := range l.leaves {
		if leaf.Stream == "order-"+order || i == 2 {
			runs = append(runs, l.run(uint64(i), uint64(i)+1, i != 3))
		}
	}
	return l.bundle(tb, verify.KindChain, verify.Subject{Order: order}, runs...)
}

// window shows the leaves from begin to before end, in two runs.
func (l *ledger) window(tb require.TestingT, begin, end uint64) bundle {
	first, last := begin, end
	if first > 0 {
		first--
	}
	if last < l.size() {
		last++
	}
	middle := (first + last) / 2
	runs := []verify.Run{}
	for _, s := range []verify.Span{{Begin: first, End: middle}, {Begin: middle, End: last}} {
		if s.Begin < s.End {
			runs = append(runs, l.run(s.Begin, s.End, true))
		}
	}
	for i := range runs {
		for j := range runs[i].Entries {
			if index := runs[i].Begin + uint64(j); index < begin || index >= end {
				runs[i].Entries[j].Said = nil
			}
		}
	}
	return l.bundle(tb, verify.KindWindow, verify.Subject{
		From: began.Add(time.Duration(begin) * time.Second), To: began.Add(time.Duration(end) * time.Second), Begin: begin, End: end,
	}, runs...)
}

func (b *bundle) encode(tb require.TestingT) []byte {
	var out bytes.Buffer
	w, err := verify.NewWriter(&out, b.Header)
	require.NoError(tb, err)
	for _, r := range b.runs {
		require.NoError(tb, w.Run(r))
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func trust(tb require.TestingT) verify.Trust {
	key, err := verify.ParseKey(logKey)
	require.NoError(tb, err)
	return verify.Trust{Keys: verify.Keys{key}}
}

func judge(tb require.TestingT, text []byte, t verify.Trust) verify.Verdict {
	verdict, err := verify.Bundle(bytes.NewReader(text), t, nil)
	require.NoError(tb, err)
	return verdict
}

func whats(v verify.Verdict) []string {
	var out []string
	for _, f := range v.Failures {
		if !slices.Contains(out, f.What) {
			out = append(out, f.What)
		}
	}
	return out
}

package tlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// PublicKey is a line of the file of keys.
type PublicKey = verify.PublicKey

// Keys is all that ever signed, in order.
type Keys []PublicKey

// ReadKeys reads the keys of a log and checks that each hands over to the next.
func ReadKeys(dir string) (Keys, error) {
	text, err := readBounded(filepath.Join(dir, keysFile))
	if err != nil {
		return nil, fmt.Errorf("reading the public keys of the log: %w", err)
	}
	return ParseKeys(text)
}

// ParseKeys reads a file of keys and checks that each hands over to the next. That
// the first is the right one is for the caller to know.
func ParseKeys(text []byte) (Keys, error) {
	var keys Keys
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var k PublicKey
		err := lines.Decode(&k)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = note.NewVerifier(k.Verifier)
		}
		if err == nil && len(keys) > 0 {
			err = k.TakesOver(keys[len(keys)-1])
		}
		if err != nil {
			return nil, damaged(fmt.Sprintf("key %d of the file of keys", len(keys)+1), err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, damaged("the file of keys", errors.New("it names no key"))
	}
	return keys, nil
}

// Check opens a checkpoint with the key that signs for its size. A checkpoint of
// the size at which a key hands over may be of either.
func (k Keys) Check(signed string) (Checkpoint, error) {
	c, err := parseNote(signed)
	if err != nil {
		return c, err
	}
	keys, problem := k.Verifying()
	if problem != nil {
		return c, problem
	}
	for _, verifier := range keys.Signing(c.Size) {
		if verifier.Name() != c.Origin {
			problem = domain.Rejectf(CodeKey, "", "a checkpoint of log %q under a key of %q", c.Origin, verifier.Name())
			continue
		}
		if _, problem = note.Open([]byte(signed), note.VerifierList(verifier)); problem == nil {
			return c, nil
		}
	}
	return c, errors.Join(domain.Rejectf(CodeKey, "", "a checkpoint of %d leaves is not signed by the key for this size", c.Size), problem)
}

// Origin is the name of the log: that of its first key.
func (k Keys) Origin() string {
	origin, _, _ := strings.Cut(k[0].Verifier, "+")
	return origin
}

// Verifying are the keys as those have them who verify.
func (k Keys) Verifying() (verify.Keys, error) {
	keys := make(verify.Keys, len(k))
	for i, public := range k {
		var err error
		if keys[i], err = verify.ParseKey(public.Verifier); err != nil {
			return nil, err
		}
		keys[i].From = public.From
	}
	return keys, nil
}

func writeKeys(dir string, keys Keys) error {
	var text bytes.Buffer
	for _, k := range keys {
		line, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("encoding the public keys of the log: %w", err)
		}
		text.Write(append(line, '\n'))
	}
	return durable.Replace(filepath.Join(dir, keysFile), text.Bytes(), publicMode)
}

// adopt makes a key the one that signs. A new one must have been handed over to by
// the newest; rotated says that it was taken in just now.
func (k Keys) adopt(key Key, size uint64) (keys Keys, rotated bool, err error) {
	newest := k[len(k)-1]
	if newest.Verifier == key.Verifier() {
		// Whoever can write here can make keys that hand over to this one as well. The key
		// itself knows which one did.
		if len(k) > 1 && strings.TrimSpace(newest.HandOver) != strings.TrimSpace(key.handOver) {
			return nil, false, doubt(nil, "the file of keys says that another key handed over to %s than did", key.Verifier())
		}
		return k, false, nil
	}
	next := PublicKey{Verifier: key.Verifier(), From: size, HandOver: key.handOver}
	if err := next.TakesOver(newest); err != nil {
		return nil, false, errors.Join(domain.Rejectf(CodeKey, "",
			"the log's checkpoints are signed by %s, which does not hand over to %s (make new keys with: tradetrail keygen --after OLD)", newest.Verifier, key.Verifier()), err)
	}
	return append(k[:len(k):len(k)], next), true, nil
}

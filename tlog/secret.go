package tlog

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
)

// saltKeyBytes is how long the salt key is. Whoever has it can try out what events
// say; without it nobody can show what they say, since their digests can't be
// computed again. It must be kept as long as the log.
const saltKeyBytes = 32

func newSaltKey() []byte {
	key := make([]byte, saltKeyBytes)
	_, _ = rand.Read(key) // never fails
	return key
}

// ReadSaltKey reads the salt key of a file: base64, and a line feed.
func ReadSaltKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the salt key of the log: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != saltKeyBytes {
		return nil, domain.Rejectf(CodeKey, "", "%s holds no salt key: 32 bytes in base64", path)
	}
	return key, nil
}

func writeSaltKey(path string, key []byte) error {
	return writeSecret(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
}

// writeSecret makes a file of mode 0600 that was not there, as a whole or not at
// all.
func writeSecret(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	staged, err := os.CreateTemp(dir, ".secret-*") // its mode is 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, os.Remove(staged.Name())) }()
	_, err = staged.Write(content)
	if err = errors.Join(err, staged.Sync(), staged.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// A link, unlike a rename, takes nothing's place.
	if err := os.Link(staged.Name(), path); errors.Is(err, fs.ErrExist) {
		return domain.Rejectf(CodeExists, "", "%s is there already, and a key is never written over", path)
	} else if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return durable.SyncDir(dir)
}

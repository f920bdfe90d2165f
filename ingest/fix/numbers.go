package fix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/tradetrail/tradetrail/domain"
)

// numbers are the sequence numbers of a session, on disk: the number expected of
// the counterparty, which is raised only after everything below it is recorded,
// and the number of our next message, which is raised before one is sent.
//
// A crash may leave the first one too low: the counterparty sends again what is
// recorded already, and its ids are known. It is never too high, so nothing is
// missed. There are two copies, written in turn, so that a torn write leaves the
// other one.
type numbers struct {
	file    *os.File
	turn    uint64
	in, out int
}

const numbersBytes = 28 // turn, in, out, checksum

// openNumbers reads the file of a session, or makes it: both begin at 1.
func openNumbers(dir, name string) (*numbers, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of sequence numbers: %w", err)
	}
	path := filepath.Join(dir, name+".seq")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the sequence numbers of %s: %w", name, err)
	}
	n := &numbers{file: file, in: 1, out: 1}
	var both [2 * numbersBytes]byte
	size, err := file.ReadAt(both[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), file.Close())
	}
	for at := 0; at+numbersBytes <= size; at += numbersBytes {
		n.read(both[at : at+numbersBytes])
	}
	if size > 0 && n.turn == 0 {
		return nil, errors.Join(&domain.Error{
			Class: domain.ClassIntegrity, Code: "sequence_numbers_damaged",
			Message: path + " is damaged: agree on sequence numbers with the counterparty, or remove it to begin at 1",
		}, file.Close())
	}
	return n, nil
}

func (n *numbers) read(one []byte) {
	turn := binary.BigEndian.Uint64(one)
	in, out := binary.BigEndian.Uint64(one[8:]), binary.BigEndian.Uint64(one[16:])
	if crc32.ChecksumIEEE(one[:24]) == binary.BigEndian.Uint32(one[24:]) && turn > n.turn && in <= maxNumber && out <= maxNumber {
		n.turn, n.in, n.out = turn, int(in), int(out)
	}
}

// set writes both numbers; not to the disk's platter, see sync.
func (n *numbers) set(in, out int) error {
	if n.turn > 0 && in == n.in && out == n.out {
		return nil
	}
	var one [numbersBytes]byte
	binary.BigEndian.PutUint64(one[:], n.turn+1)
	binary.BigEndian.PutUint64(one[8:], uint64(in))   //nolint:gosec // not negative
	binary.BigEndian.PutUint64(one[16:], uint64(out)) //nolint:gosec // not negative
	binary.BigEndian.PutUint32(one[24:], crc32.ChecksumIEEE(one[:24]))
	if _, err := n.file.WriteAt(one[:], int64(n.turn%2)*numbersBytes); err != nil {
		return fmt.Errorf("writing sequence numbers: %w", err)
	}
	n.turn++
	n.in, n.out = in, out
	return nil
}

// sync makes the numbers survive a loss of power, at the ends of a connection: in
// between, what is lost is sent again.
func (n *numbers) sync() error {
	if err := n.file.Sync(); err != nil {
		return fmt.Errorf("writing sequence numbers: %w", err)
	}
	return nil
}

func (n *numbers) close() error { return errors.Join(n.sync(), n.file.Close()) }

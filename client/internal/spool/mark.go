package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	markSlots = 2
	markBytes = 16 // sequence, checksum, zeros
)

// mark is the file that says before which sequence everything was delivered. Its
// slots are written in turn, so that one is whole at any moment. If none is, or
// the newest was lost with the power, records are delivered again; it is on disk
// before a segment is removed.
type mark struct {
	file *os.File
	turn int
}

func openMark(path string) (*mark, uint64, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the mark: %w", err)
	}
	var slots [markSlots * markBytes]byte
	if _, err := file.ReadAt(slots[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, errors.Join(fmt.Errorf("reading the mark: %w", err), file.Close())
	}
	m, sequence := &mark{file: file}, uint64(0)
	for i := range markSlots {
		slot := slots[i*markBytes:]
		if binary.LittleEndian.Uint32(slot[8:]) != checksum(0, slot[:8]) {
			continue
		}
		if s := binary.LittleEndian.Uint64(slot); s >= sequence {
			sequence, m.turn = s, (i+1)%markSlots
		}
	}
	return m, sequence, nil
}

func (m *mark) write(sequence uint64) error {
	var slot [markBytes]byte
	binary.LittleEndian.PutUint64(slot[:], sequence)
	binary.LittleEndian.PutUint32(slot[8:], checksum(0, slot[:8]))
	if _, err := m.file.WriteAt(slot[:], int64(m.turn*markBytes)); err != nil {
		return fmt.Errorf("writing the mark: %w", err)
	}
	m.turn = (m.turn + 1) % markSlots
	return nil
}

// sync puts what was written on disk.
func (m *mark) sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("syncing the mark: %w", err)
	}
	return nil
}

package spool

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives the file its blocks now.
func allocate(file *os.File, size int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fillWithZeros(file, size)
	}
	return err
}

func populate(pages []byte) {
	// Linux before 5.14 answers EINVAL, and appending faults the pages in.
	_ = unix.Madvise(pages, unix.MADV_POPULATE_WRITE)
}

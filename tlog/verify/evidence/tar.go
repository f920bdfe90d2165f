package evidence

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
)

// tar reads the files one after the other. Behind its end may stand zeros alone.
func (a *archive) tar() error {
	all := io.NewSectionReader(a.from, 0, a.size)
	list := tar.NewReader(all)
	for {
		header, err := list.Next()
		if errors.Is(err, io.EOF) {
			return zeros(all)
		}
		if err != nil {
			return err
		}
		begin, err := all.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		one := file{name: header.Name, regular: header.Typeflag == tar.TypeReg, open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(all, begin, header.Size)), nil
		}}
		switch {
		case holes(header):
			one.odd = "it has holes"
		case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
			one.odd = "it is a link or a device"
		case header.Typeflag == tar.TypeReg && header.Size > a.size-begin:
			one.odd = "it is cut off"
		}
		if err := a.next(one); err != nil {
			return err
		}
	}
}

// holes reports whether a file is longer than what stands in the archive.
func holes(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

func zeros(from io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		for _, b := range buffer[:n] {
			if b != 0 {
				return errors.New("something stands behind its end")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

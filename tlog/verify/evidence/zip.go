package evidence

import (
	"archive/zip"
	"strings"
)

// maxDirectory is what the list of a zip's files may take: it is read as a whole.
const maxDirectory = 4 << 20

// zip reads the files that the list at the archive's end names.
func (a *archive) zip() error {
	a.from.most = maxDirectory
	list, err := zip.NewReader(a.from, a.size)
	a.from.most = 0
	if err != nil {
		return err
	}
	for _, f := range list.File {
		one := file{name: f.Name, regular: f.Mode().IsRegular(), open: f.Open}
		switch folder := strings.HasSuffix(f.Name, "/"); {
		case !f.Mode().IsRegular() && !f.Mode().IsDir():
			one.odd = "it is a link or a device"
		case folder && f.UncompressedSize64 > 0:
			one.odd = "it is a folder with a content"
		case f.Flags&1 != 0:
			one.odd = "it is encrypted"
		}
		if err := a.next(one); err != nil {
			return err
		}
	}
	return nil
}

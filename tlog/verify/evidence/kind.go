package evidence

import (
	"bytes"
	"path"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Kind is what a file is taken for.
type Kind string

// The kinds of files.
const (
	None        Kind = "none" // no evidence
	Bundle      Kind = "bundle"
	Report      Kind = "report"
	Certificate Kind = "certificate"
	Zip         Kind = "zip"
	Tar         Kind = "tar"
)

// HeadBytes is how much of a file's beginning KindOf wants to see, as far as there is so
// much.
const HeadBytes = 512

// KindOf tells what a file claims to be, by how it begins or by its name: what is named
// like evidence and does not begin like it was damaged.
func KindOf(name string, head []byte) Kind {
	base := path.Base(name)
	day, isText := strings.CutSuffix(base, ".txt")
	_, notDay := time.Parse(time.DateOnly, day)
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")), strings.EqualFold(path.Ext(base), ".zip"):
		return Zip
	case len(head) > 262 && string(head[257:262]) == "ustar", strings.EqualFold(path.Ext(base), ".tar"):
		return Tar
	case bytes.HasPrefix(head, []byte("%PDF-")), strings.EqualFold(path.Ext(base), ".pdf"):
		return Report
	case bytes.HasPrefix(head, []byte(verify.CertificateBegins)), isText && notDay == nil:
		return Certificate
	case bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte(`{"format"`)), strings.EqualFold(path.Ext(base), ".json"):
		return Bundle
	default:
		return None
	}
}

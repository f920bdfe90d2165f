package audit

import (
	"os"

	"github.com/tradetrail/tradetrail/tlog"
)

// readBounded reads a file that must be short; else the error is tlog.ErrTooLong.
func readBounded(root *os.Root, name string) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return tlog.ReadShort(file)
}

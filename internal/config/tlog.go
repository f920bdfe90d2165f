package config

import (
	"path/filepath"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// TLogAuto is the default of Config.TLog.
const TLogAuto = "auto"

// TLogRead is the Config.TLog of a process that shows what is sealed as the log stood
// at its start, and seals nothing.
const TLogRead = "read"

// minTSAEvery keeps the timestamps of a day, however long they are, within a file of the
// log that is served.
const minTSAEvery = 5 * time.Minute

// WritesLog says whether this process writes a transparency log.
func (c Config) WritesLog() bool { return c.TLog == "true" || c.TLog == TLogAuto && c.EventStore == "" }

// LogDir is the folder of the transparency log.
func (c Config) LogDir() string {
	if c.TLogDir != "" {
		return c.TLogDir
	}
	return filepath.Join(c.DataDir, "tlog")
}

// LogKeyFile is the file of the private key of the log.
func (c Config) LogKeyFile() string {
	if c.LogKey != "" {
		return c.LogKey
	}
	return filepath.Join(c.DataDir, "keys", "log.key")
}

// SaltKeyFile is the file of the salt key of the log. It is in DataDir wherever the
// log is: it must not be served, nor stand beside what is.
func (c Config) SaltKeyFile() string { return filepath.Join(c.DataDir, "keys", "salt.key") }

func (c Config) validateTLog() error {
	switch {
	case c.TLog != TLogAuto && c.TLog != "true" && c.TLog != "false" && c.TLog != TLogRead:
		return domain.Rejectf(domain.CodeInvalid, "tlog", "%.50q is none of auto, true, false and read", c.TLog)
	case c.EventStore != "" && c.WritesLog() && c.DataDir == "":
		return domain.Rejectf(domain.CodeMissing, "data-dir", "the keys of the transparency log need a directory")
	case c.TSAURL != "" && c.TSARoots == "":
		return domain.Rejectf(domain.CodeMissing, "tsa-roots", "what an authority signs is only taken if its certificate leads to a root: name the file of its roots")
	case c.TSAURL != "" && c.TSAEvery < minTSAEvery:
		return domain.Rejectf(domain.CodeInvalid, "tsa-every", "%s is shorter than %s", c.TSAEvery, minTSAEvery)
	}
	return nil
}

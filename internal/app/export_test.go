package app

import (
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// RecordsIntegrity is what an auditor records with.
func RecordsIntegrity(recorder *ingest.Recorder) audit.Recorder { return integrityRecorder{recorder} }

package embedded_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soak says whether the long forms were asked for.
func soak() bool { return os.Getenv("TRADETRAIL_SOAK") != "" }

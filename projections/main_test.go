package projections_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tradetrail/tradetrail/projections/viewstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(viewstest.Main(m), viewstest.Dialing()) }

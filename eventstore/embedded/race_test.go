//go:build race

package embedded_test

// raceEnabled: long tables are thinned out, the detector makes them tenfold.
const raceEnabled = true

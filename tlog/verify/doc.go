// Package verify is what an examiner needs: leaves of events, checkpoints, proof bundles,
// sealed reports and certificates. It is pure: it reads bytes that it is
// given, knows no server, no clock and no disk, and takes nothing on trust.
//
// The formats are described, for those who write their own, in docs/formats.md.
package verify

// Package evidence judges files that may be evidence: proof bundles, sealed reports,
// certificates, and archives of them. It writes nothing, unpacks nothing to a disk, and
// keeps a bounded part of a file in memory, whatever the file says about itself.
package evidence

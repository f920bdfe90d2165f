// Package web is the dashboard, as the binary serves it. What is in dist/ is built
// from src/ and the npm packages that package-lock.json pins, and is committed: change
// something, run `make web` (Node 20 or later), and commit dist/ with it. A test
// compares the sum of the sources with dist/stamp.
package web

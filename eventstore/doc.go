// Package eventstore is the store of all events: Append, read a Stream, Follow
// the whole log, over the official EventStoreDB client. A real cluster and the
// embedded node (package embedded) are the same to it: switching is a connection
// string.
//
// What the client gets wrong is handled here and nowhere else: it dies for good
// after an outage unless told otherwise, its calls may ignore their context
// while it looks for a server, its subscriptions never resume, and its errors
// come wrapped (errors.go). See docs/adr/0002-event-store.md.
package eventstore

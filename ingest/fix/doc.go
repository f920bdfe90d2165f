// Package fix reads FIX messages (4.2, 4.4, 5.0SP2 over FIXT.1.1; any message that
// begins with 8=FIX), from logs and from a live session, and says what they mean
// as audit events. One table maps messages to event types: docs/fix.md shows it.
//
// A message has the same event id wherever it comes from, so that a log imported
// after a session, a message sent again, and a second run are recorded once.
package fix

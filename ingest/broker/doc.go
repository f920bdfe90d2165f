// Package broker records what comes through message brokers. It is the same for
// all of them: a Watermill Subscriber whose messages are batches of the broker's,
// and one handler that records a batch in one call of the Recorder. What differs
// is behind two small interfaces, Broker and Reader, which the folders beside this
// one implement.
//
// Promises, for every broker:
//
//   - A message is acknowledged after everything in it is durable, or in
//     quarantine; never before.
//   - Every event is recorded once, however often its message is delivered: an
//     event without an id gets one from the place of its message, and the Recorder
//     knows its ids again.
//   - Batches are recorded one after the other, in the order in which they were
//     fetched, also across reconnects. So what the broker keeps in order is recorded
//     in order.
//   - Two batches are in memory at most, besides what the broker's client holds
//     ready (see each folder). While the store is away nothing more is fetched.
package broker

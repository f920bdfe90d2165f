// What an application does with the official client, against a running server:
//
//	node client.mjs <client module> <host:port>
//
// The embedded node is the server that this is meant for. Streams have names
// of their own, so other events in the store don't matter.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { test } from "node:test";

const [moduleName, address] = process.argv.slice(2);
const db = await import(moduleName);
const { ANY, BACKWARDS, END, NO_STREAM, STREAM_EXISTS, binaryEvent, jsonEvent } = db;

// The clients differ in a few names only.
const dialect = {
  "@eventstore/db-client": {
    Client: db.EventStoreDBClient,
    scheme: "esdb",
    expected: "expectedRevision",
    conflict: (e) => ({ expected: e.expectedVersion, actual: e.actualVersion }),
  },
  "@kurrent/kurrentdb-client": {
    Client: db.KurrentDBClient,
    scheme: "kurrentdb",
    expected: "streamState",
    conflict: (e) => ({ expected: e.expectedState, actual: e.actualState }),
  },
}[moduleName];

// The deadline of a call is 10 s otherwise, which a busy machine can miss.
const client = dialect.Client.connectionString(`${dialect.scheme}://${address}?tls=false&defaultDeadline=60000`);

// Credentials mean nothing without TLS, but with them the clients append by
// Append and not by BatchAppend.
const ways = {
  BatchAppend: {},
  Append: { credentials: { username: "admin", password: "changeit" } },
};

const newStream = (prefix = "order") => `${prefix}-${randomUUID()}`;
const accepted = (n) => jsonEvent({ type: "order.accepted", data: { n }, metadata: { trader: "ä" } });
const orders = (count, from = 0) => Array.from({ length: count }, (_, i) => accepted(from + i));
const append = (stream, events, expected = ANY, options = {}) =>
  client.appendToStream(stream, events, { [dialect.expected]: expected, ...options });

async function collect(events) {
  const all = [];
  for await (const e of events) all.push(e);
  return all;
}

const readStream = (stream, options) => collect(client.readStream(stream, options));
const numbers = (events) => events.map((e) => e.event.data.n);
const revisions = (events) => events.map((e) => e.event.revision);

async function failure(of, errorClass) {
  try {
    await of;
  } catch (error) {
    assert.ok(error instanceof errorClass, `${errorClass.name} expected, got ${error.constructor.name}: ${error.message}`);
    return error;
  }
  return assert.fail(`${errorClass.name} expected`);
}

// follow reads a subscription, and gives what it has seen to whoever waits for it.
function follow(subscription) {
  const seen = { events: [], caughtUp: false };
  let waiting = [];
  let broken;
  const look = () => {
    waiting = waiting.filter(({ enough, resolve, reject }) => {
      if (broken) reject(broken);
      else if (enough(seen)) resolve();
      else return true;
      return false;
    });
  };
  subscription
    .on("data", (e) => {
      seen.events.push(e);
      look();
    })
    .on("caughtUp", () => {
      seen.caughtUp = true;
      look();
    })
    .on("error", (error) => {
      broken = error;
      look();
    });
  return {
    seen,
    look,
    until: (enough) =>
      new Promise((resolve, reject) => {
        waiting.push({ enough, resolve, reject });
        look();
      }),
    stop: () => subscription.unsubscribe(),
  };
}

// What never comes must not be waited for without end.
const check = (name, body) => test(name, { timeout: 60_000 }, body);

for (const [way, options] of Object.entries(ways)) {
  await check(`${way}: appends at the expected revision`, async () => {
    const stream = newStream();
    const first = await append(stream, accepted(0), NO_STREAM, options);
    assert.equal(first.success, true);
    assert.equal(first.nextExpectedRevision, 0n);
    assert.ok(first.position.commit > 0n);
    assert.equal((await append(stream, accepted(1), ANY, options)).nextExpectedRevision, 1n);
    assert.equal((await append(stream, accepted(2), STREAM_EXISTS, options)).nextExpectedRevision, 2n);
    const last = await append(stream, orders(2, 3), 2n, options);
    assert.equal(last.nextExpectedRevision, 4n);
    assert.ok(last.position.commit > first.position.commit);
    assert.deepEqual(numbers(await readStream(stream)), [0, 1, 2, 3, 4]);
  });

  await check(`${way}: a repeated append is recognised`, async () => {
    const stream = newStream();
    const events = orders(2);
    await append(stream, events, NO_STREAM, options);
    assert.equal((await append(stream, events, NO_STREAM, options)).nextExpectedRevision, 1n);
    assert.equal((await readStream(stream)).length, 2);
  });

  await check(`${way}: an unexpected revision is told with what is there`, async () => {
    const stream = newStream();
    await append(stream, orders(3), NO_STREAM, options);
    let error = await failure(append(stream, accepted(3), 7n, options), db.WrongExpectedVersionError);
    assert.equal(error.type, db.ErrorType.WRONG_EXPECTED_VERSION);
    assert.equal(error.streamName, stream);
    assert.deepEqual(dialect.conflict(error), { expected: 7n, actual: 2n });

    error = await failure(append(stream, accepted(3), NO_STREAM, options), db.WrongExpectedVersionError);
    assert.deepEqual(dialect.conflict(error), { expected: NO_STREAM, actual: 2n });

    const missing = newStream();
    error = await failure(append(missing, accepted(0), 0n, options), db.WrongExpectedVersionError);
    assert.equal(error.streamName, missing);
    assert.deepEqual(dialect.conflict(error), { expected: 0n, actual: NO_STREAM });

    error = await failure(append(missing, accepted(0), STREAM_EXISTS, options), db.WrongExpectedVersionError);
    assert.deepEqual(dialect.conflict(error), { expected: STREAM_EXISTS, actual: NO_STREAM });
    assert.equal((await readStream(stream)).length, 3);
  });

  await check(`${way}: an event just under 1 MiB fits, a larger append doesn't`, async () => {
    const stream = newStream();
    const data = randomBytes((1 << 20) - 4096);
    await append(stream, binaryEvent({ type: "order.archived", data }), NO_STREAM, options);
    const [{ event }] = await readStream(stream);
    assert.ok(data.equals(event.data));

    const large = binaryEvent({ type: "order.archived", data: new Uint8Array(1 << 20) });
    const error = await failure(append(stream, large, ANY, options), db.MaxAppendSizeExceededError);
    assert.equal(error.maxAppendSize, 1 << 20);
    const halves = [0, 1].map(() => binaryEvent({ type: "order.archived", data: new Uint8Array(600_000) }));
    await failure(append(stream, halves, ANY, options), db.MaxAppendSizeExceededError);
    assert.equal((await readStream(stream)).length, 1);
  });

  await check(`${way}: several events are stored in one step, in order`, async () => {
    const stream = newStream();
    // Small chunks: the client splits the append over several messages.
    const result = await append(stream, orders(100), NO_STREAM, { ...options, batchAppendSize: 1024 });
    assert.equal(result.nextExpectedRevision, 99n);
    assert.deepEqual(numbers(await readStream(stream)), orders(100).map((e) => e.data.n));

    const many = await Promise.all(orders(50).map((e) => append(newStream(), e, NO_STREAM, options)));
    assert.ok(many.every((r) => r.success && r.nextExpectedRevision === 0n));
  });
}

await check("an event comes back as it was written", async () => {
  const stream = newStream();
  const json = accepted(1);
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const binary = binaryEvent({ type: "order.signed", data: bytes, metadata: bytes.slice(128) });
  await append(stream, [json, binary], NO_STREAM);
  const [first, second] = (await readStream(stream)).map((e) => e.event);

  assert.equal(first.streamId, stream);
  assert.equal(first.id, json.id);
  assert.equal(first.type, "order.accepted");
  assert.equal(first.isJson, true);
  assert.deepEqual(first.data, { n: 1 });
  assert.deepEqual(first.metadata, { trader: "ä" });
  assert.ok(Math.abs(new Date(first.created).getTime() - Date.now()) < 24 * 3600_000);

  assert.equal(second.id, binary.id);
  assert.equal(second.isJson, false);
  assert.ok(Buffer.from(bytes).equals(second.data));
  assert.ok(Buffer.from(bytes.slice(128)).equals(second.metadata));
});

await check("a stream is read forwards and backwards, within limits", async () => {
  const stream = newStream();
  await append(stream, orders(10), NO_STREAM);
  assert.deepEqual(numbers(await readStream(stream, { maxCount: 3 })), [0, 1, 2]);
  assert.deepEqual(numbers(await readStream(stream, { fromRevision: 8n })), [8, 9]);
  assert.deepEqual(numbers(await readStream(stream, { fromRevision: 5n, maxCount: 2 })), [5, 6]);
  assert.deepEqual(numbers(await readStream(stream, { fromRevision: 10n })), []);
  assert.deepEqual(numbers(await readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 3 })), [9, 8, 7]);
  assert.deepEqual(numbers(await readStream(stream, { direction: BACKWARDS, fromRevision: 2n })), [2, 1, 0]);
});

await check("a stream that isn't there is not found", async () => {
  const stream = newStream();
  const error = await failure(readStream(stream), db.StreamNotFoundError);
  assert.equal(error.type, db.ErrorType.STREAM_NOT_FOUND);
  assert.equal(error.streamName, stream);
  const foreign = newStream("bestellung-ä");
  await failure(readStream(foreign), db.StreamNotFoundError);
  await append(foreign, accepted(0), NO_STREAM);
  assert.equal((await readStream(foreign))[0].event.streamId, foreign);
});

await check("$all is read forwards and backwards, within limits", async () => {
  const [one, two] = [newStream(), newStream()];
  const first = await append(one, accepted(0), NO_STREAM);
  await append(two, orders(2, 1), NO_STREAM);
  const last = await append(one, accepted(3), 0n);
  const ours = (events) => events.filter((e) => [one, two].includes(e.event?.streamId));
  const readAll = (options) => collect(client.readAll(options));

  // Positions are inclusive forwards and exclusive backwards.
  const forwards = ours(await readAll({ fromPosition: first.position }));
  assert.deepEqual(numbers(forwards), [0, 1, 2, 3]);
  assert.deepEqual(ours(await readAll()).map((e) => e.event.id), forwards.map((e) => e.event.id));
  const commits = forwards.map((e) => e.event.position.commit);
  assert.ok(commits.every((c, i) => i === 0 || c > commits[i - 1]));
  assert.equal(commits[3], last.position.commit);
  assert.deepEqual(numbers(await readAll({ fromPosition: first.position, maxCount: 1 })), [0]);

  assert.deepEqual(numbers(ours(await readAll({ direction: BACKWARDS, fromPosition: END }))), [3, 2, 1, 0]);
  assert.deepEqual(numbers(ours(await readAll({ direction: BACKWARDS, fromPosition: last.position }))), [2, 1, 0]);
  assert.deepEqual(numbers(await readAll({ direction: BACKWARDS, fromPosition: last.position, maxCount: 1 })), [2]);
});

for (const [name, filter] of Object.entries({
  "stream name prefix": (id) => db.streamNameFilter({ prefixes: [`${id}-a`, `${id}-b`], maxSearchWindow: 4 }),
  "stream name regex": (id) => db.streamNameFilter({ regex: `^${id}-[ab]`, maxSearchWindow: 4 }),
  "event type prefix": (id) => db.eventTypeFilter({ prefixes: [`${id}.a`, `${id}.b`], maxSearchWindow: 4 }),
  "event type regex": (id) => db.eventTypeFilter({ regex: `^${id}\\.[ab]`, maxSearchWindow: 4 }),
})) {
  await check(`$all is followed by ${name}, with checkpoints`, async () => {
    const id = `f${randomUUID().slice(0, 8)}`;
    const write = (kind, n) => append(`${id}-${kind}`, jsonEvent({ type: `${id}.${kind}`, data: { n } }));
    for (const [n, kind] of ["a", "c", "b", "c", "a", "c"].entries()) await write(kind, n);

    const checkpoints = [];
    let follower;
    const checkpointReached = (_, position) => {
      checkpoints.push(position);
      follower.look();
    };
    follower = follow(client.subscribeToAll({ filter: { ...filter(id), checkpointReached } }));
    await follower.until((seen) => seen.caughtUp && seen.events.length >= 3 && checkpoints.length > 0);
    assert.deepEqual(numbers(follower.seen.events), [0, 2, 4]);
    await write("c", 6);
    await write("b", 7);
    await follower.until((seen) => seen.events.length >= 4);
    // Four events in a row that the filter leaves out make a checkpoint.
    const reached = checkpoints.length;
    for (let n = 8; n < 12; n++) await write("c", n);
    await follower.until(() => checkpoints.length > reached);
    await follower.stop();
    assert.deepEqual(numbers(follower.seen.events), [0, 2, 4, 7]);
    assert.ok(checkpoints.every((p, i) => i === 0 || p.commit >= checkpoints[i - 1].commit));

    // A checkpoint is a position to go on from.
    await write("a", 12);
    follower = follow(client.subscribeToAll({ fromPosition: checkpoints.at(-1), filter: filter(id) }));
    await follower.until((seen) => seen.caughtUp && seen.events.length >= 1);
    await follower.stop();
    assert.deepEqual(numbers(follower.seen.events), [12]);
  });
}

await check("a stream is followed from its start into the present", async () => {
  const stream = newStream();
  await append(stream, orders(3), NO_STREAM);
  const follower = follow(client.subscribeToStream(stream));
  await follower.until((seen) => seen.caughtUp && seen.events.length >= 3);
  await append(stream, orders(2, 3), 2n);
  await follower.until((seen) => seen.events.length >= 5);
  await follower.stop();
  assert.deepEqual(numbers(follower.seen.events), [0, 1, 2, 3, 4]);

  const later = follow(client.subscribeToStream(stream, { fromRevision: 3n }));
  await later.until((seen) => seen.events.length >= 1);
  await later.stop();
  assert.deepEqual(numbers(later.seen.events), [4], "the revision to begin after is exclusive");

  const live = follow(client.subscribeToStream(stream, { fromRevision: END }));
  await live.until((seen) => seen.caughtUp);
  await append(stream, accepted(5), 4n);
  await live.until((seen) => seen.events.length >= 1);
  await live.stop();
  assert.deepEqual(numbers(live.seen.events), [5]);
});

await check("a subscription by iterator, to a stream that isn't there yet", async () => {
  const stream = newStream();
  const subscription = client.subscribeToStream(stream);
  const appended = append(stream, orders(3), NO_STREAM);
  const got = [];
  for await (const { event } of subscription) {
    got.push(event.data.n);
    if (got.length === 3) break;
  }
  await appended;
  assert.deepEqual(got, [0, 1, 2]);
});

await check("metadata of a stream are set, read, and heeded", async () => {
  const stream = newStream();
  assert.equal((await client.getStreamMetadata(stream)).metadata, undefined);
  await append(stream, orders(5), NO_STREAM);
  const metadata = { maxCount: 2, maxAge: 3600, cacheControl: 60, acl: { readRoles: ["a", "b"] }, desk: "x" };
  await client.setStreamMetadata(stream, metadata, { [dialect.expected]: NO_STREAM });
  assert.deepEqual((await client.getStreamMetadata(stream)).metadata, metadata);
  assert.deepEqual(numbers(await readStream(stream)), [3, 4]);

  await client.setStreamMetadata(stream, { truncateBefore: 4 }, { [dialect.expected]: 0n });
  assert.deepEqual((await client.getStreamMetadata(stream)).metadata, { truncateBefore: 4 });
  assert.deepEqual(numbers(await readStream(stream)), [4]);
  await failure(client.setStreamMetadata(stream, {}, { [dialect.expected]: 0n }), db.WrongExpectedVersionError);
});

await check("links are resolved on request", async () => {
  const [target, index] = [newStream(), newStream("index")];
  await append(target, orders(2), NO_STREAM);
  const link = (to) => binaryEvent({ type: "$>", data: Buffer.from(to) });
  await append(index, [link(`1@${target}`), link(`7@${target}`)], NO_STREAM);

  const [plain] = await readStream(index);
  assert.equal(plain.event.type, "$>");
  assert.equal(plain.event.streamId, index);

  const [resolved, broken] = await readStream(index, { resolveLinkTos: true });
  assert.equal(resolved.event.streamId, target);
  assert.equal(resolved.event.revision, 1n);
  assert.equal(resolved.link.streamId, index);
  assert.equal(resolved.link.revision, 0n);
  assert.equal(broken.event, undefined);
  assert.equal(broken.link.revision, 1n);

  const follower = follow(client.subscribeToStream(index, { resolveLinkTos: true }));
  await follower.until((seen) => seen.events.length >= 2);
  await follower.stop();
  assert.equal(follower.seen.events[0].event.id, resolved.event.id);
});

await check("a deleted stream is not found, and goes on when it is written to", async () => {
  const stream = newStream();
  await append(stream, orders(3), NO_STREAM);
  const error = await failure(client.deleteStream(stream, { expectedRevision: 7n }), db.WrongExpectedVersionError);
  assert.equal(error.streamName, stream);
  assert.deepEqual(dialect.conflict(error), { expected: 7n, actual: 2n });

  const { position } = await client.deleteStream(stream, { expectedRevision: 2n });
  assert.ok(position.commit > 0n);
  await failure(readStream(stream), db.StreamNotFoundError);
  assert.equal((await append(stream, orders(2, 3), NO_STREAM)).nextExpectedRevision, 4n);
  assert.deepEqual(revisions(await readStream(stream)), [3n, 4n]);
  await failure(client.deleteStream(newStream(), { expectedRevision: 0n }), db.WrongExpectedVersionError);
});

await check("a tombstone is for ever", async () => {
  const stream = newStream();
  await append(stream, orders(2), NO_STREAM);
  const { position } = await client.tombstoneStream(stream, { expectedRevision: 1n });
  assert.ok(position.commit > 0n);
  for (const attempt of [
    () => readStream(stream),
    () => append(stream, accepted(2), ANY, ways.BatchAppend),
    () => append(stream, accepted(2), ANY, ways.Append),
    () => client.deleteStream(stream),
    () => client.tombstoneStream(stream),
    () => follow(client.subscribeToStream(stream)).until(() => false),
  ]) {
    const error = await failure(attempt(), db.StreamDeletedError);
    assert.equal(error.type, db.ErrorType.STREAM_DELETED);
    assert.equal(error.streamName, stream);
  }
});

await check("persistent subscriptions: there are none, and none can be made", async () => {
  const stream = newStream();
  await append(stream, accepted(0), NO_STREAM);
  assert.deepEqual(await client.listAllPersistentSubscriptions(), []);

  const streamSettings = db.persistentSubscriptionToStreamSettingsFromDefaults();
  const allSettings = db.persistentSubscriptionToAllSettingsFromDefaults();
  for (const create of [
    () => client.createPersistentSubscriptionToStream(stream, "desk", streamSettings),
    () => client.createPersistentSubscriptionToAll("desk", allSettings),
  ]) {
    const error = await failure(create(), Error);
    assert.equal(error.code, 12, "UNIMPLEMENTED");
    assert.match(error.message, /no persistent subscriptions/);
  }

  for (const [attempt, source, group] of [
    [() => client.getPersistentSubscriptionToStreamInfo(stream, "desk"), stream, "desk"],
    [() => client.getPersistentSubscriptionToAllInfo("desk"), "$all", "desk"],
    [() => client.updatePersistentSubscriptionToStream(stream, "desk", streamSettings), stream, "desk"],
    [() => client.updatePersistentSubscriptionToAll("desk", allSettings), "$all", "desk"],
    [() => client.deletePersistentSubscriptionToStream(stream, "desk"), stream, "desk"],
    [() => client.deletePersistentSubscriptionToAll("desk"), "$all", "desk"],
    [() => client.replayParkedMessagesToStream(stream, "desk"), stream, "desk"],
    [() => client.replayParkedMessagesToAll("desk"), "$all", "desk"],
    [() => client.listPersistentSubscriptionsToStream(stream), stream, ""],
    [() => client.listPersistentSubscriptionsToAll(), "$all", ""],
    [() => collect(client.subscribeToPersistentSubscriptionToStream(stream, "desk")), stream, "desk"],
    [() => collect(client.subscribeToPersistentSubscriptionToAll("desk")), "$all", "desk"],
  ]) {
    const error = await failure(attempt(), db.PersistentSubscriptionDoesNotExistError);
    assert.equal(error.streamName, source);
    assert.equal(error.groupName, group);
  }
  await client.restartPersistentSubscriptionSubsystem();
  assert.equal((await readStream(stream)).length, 1, "the client is as good as before");
});

// Its connections would keep the process alive.
await client.dispose();

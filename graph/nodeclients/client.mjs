// Follows an account with one of the usual clients and prints the id of each event
// that comes. It goes on after whatever happens to the connection, from the last
// cursor: both clients read the variables anew when they subscribe again.
//
//   node client.mjs graphql-ws|graphql-sse http://HOST:PORT ACCOUNT
import { createClient as createSocketClient } from "graphql-ws";
import { createClient as createStreamClient } from "graphql-sse";
import WebSocket from "ws";

const [kind, server, account] = process.argv.slice(2);
const patient = { retryAttempts: 1000, retryWait: () => new Promise((done) => setTimeout(done, 100)) };

function client() {
  switch (kind) {
    case "graphql-ws":
      return createSocketClient({
        url: server.replace("http", "ws") + "/graphql",
        webSocketImpl: WebSocket,
        shouldRetry: () => true, // also when nobody listens, as while the server starts
        on: { closed: (event) => console.log(`closed ${event.code}`) },
        ...patient,
      });
    case "graphql-sse":
      return createStreamClient({ url: server + "/graphql", retryAttempts: patient.retryAttempts, retry: patient.retryWait });
    default:
      throw new Error(`no client ${kind}`);
  }
}

const operation = {
  query: `subscription($account: ID!, $after: String) {
    accountEvents(accountId: $account, after: $after) { cursor event { eventId } } }`,
  variables: { account, after: "C:0/P:0" },
};

function fail(why) {
  console.error(why);
  process.exit(1);
}

const live = client();
live.subscribe(operation, {
  next({ data, errors }) {
    if (errors) fail(JSON.stringify(errors));
    operation.variables.after = data.accountEvents.cursor;
    console.log(`event ${data.accountEvents.event.eventId}`);
  },
  error: (why) => fail(why),
  complete: () => fail("the subscription was completed"),
});

// What is wrong comes as an error with a code.
live.subscribe({ query: "subscription { nothing }" }, {
  next({ errors }) {
    console.log(`refused ${errors[0].extensions.code}`);
  },
  error: ([why]) => console.log(`refused ${why.extensions.code}`),
  complete() {},
});

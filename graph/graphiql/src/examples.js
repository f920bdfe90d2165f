// Tabs for who comes here first. They ask for what `tradetrail serve --demo`
// records, and the first one asks for nobody in particular: it shows the ids that
// the others need.
export const examples = [
  {
    query: `# The newest events. Take an orderId from here for the tab "Chain".
query Newest {
  events(last: 10) {
    edges {
      node { occurredAt eventType orderId accountId strategyId ticker position }
    }
    pageInfo { hasPreviousPage startCursor }
  }
}
`,
  },
  {
    query: `# An order's whole decision history: signal, recommendation, risk, approval,
# order, executions.
query Chain($order: ID!) {
  chain(orderId: $order) {
    status
    latencyTotal
    events {
      stage
      latencyFromPrevious
      event { eventType occurredAt actor data }
    }
  }
}
`,
    variables: '{\n  "order": "ORDER"\n}',
  },
  {
    query: `# A page of an account. For the next one, give endCursor as after.
query Account($id: ID!, $after: String) {
  account(id: $id) {
    stats { events orders fills value commission }
    orders(last: 5) { edges { node { orderId status ticker side quantity avgPrice } } }
    events(first: 20, after: $after) {
      edges { cursor node { eventType occurredAt orderId } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`,
    variables: '{\n  "id": "acc-1001"\n}',
  },
  {
    query: `# Fills that slipped. docs/filters.md has the language of expressions.
query Slipped {
  events(last: 20, filter: { types: ["order.*"], expression: "slippage_bps > 1" }) {
    edges { node { orderId eventType ticker data } }
    examined
  }
}
`,
  },
  {
    query: `# Live: every update has a cursor. After a break, give the last one as after: no
# gap, no duplicate. C:0/P:0 is the beginning; without after it begins now.
subscription Live($id: ID!, $after: String) {
  accountEvents(accountId: $id, after: $after) {
    cursor
    event { eventType occurredAt orderId ticker }
  }
}
`,
    variables: '{\n  "id": "acc-1001",\n  "after": "C:0/P:0"\n}',
  },
  {
    query: `query Projections {
  projections { name generation caughtUp events behind lag parked }
}
`,
  },
];

import { describe, expect, it } from 'vitest';
import { parseExact } from '../api/exact';
import type { EventFullFragment } from '../gen/graphql';
import { utf8 } from './bytes';
import type { Proven } from './bundle';
import { differs } from './shown';

const recorded = '{"event_id":"e1","event_type":"order.filled","occurred_at":"2026-03-02T14:30:00.000000001Z","order_id":"o1","path":[{"hop":"g","in":"2026-03-02T14:30:00Z"}],"clock":{"offset_ns":5},"schema_version":1,"data":{"n":1.10,"none":null,"deep":{"fill_price":"412.50"}}}';
const proven: Proven = { leaf: { position: 'C:1/P:1', stream: 'order-o1', revision: '3', id: 'x', digest: '' }, index: 1n, said: { type: 'order.filled', data: utf8(recorded) } };
const shown = {
  eventId: 'e1', eventType: 'order.filled', occurredAt: '2026-03-02T14:30:00.000000001Z', orderId: 'o1', path: [{ hop: 'g', in: '2026-03-02T14:30:00Z', out: null }],
  clock: { sourceId: null, sync: null, offsetNs: 5, maxErrorNs: null }, schemaVersion: 1, data: parseExact('{"none":null,"n":1.10,"deep":{"fill_price":"412.50"}}'),
  accountId: null, raw: null, stream: 'order-o1', revision: 3, position: 'C:1/P:1', seal: 'SEALED', leafIndex: 1, known: true,
} as unknown as EventFullFragment;

describe('what a page shows', () => {
  it('is what was recorded', () => {
    expect(differs(shown, proven)).toBeUndefined();
  });

  it('is not, when any of it is another', () => {
    const changes: Record<string, Partial<Record<keyof EventFullFragment, unknown>>> = {
      'a digit of a time': { occurredAt: '2026-03-02T14:30:00.000000002Z' },
      'a digit of a number': { data: parseExact('{"none":null,"n":1.11,"deep":{"fill_price":"412.50"}}') },
      'a decimal': { data: parseExact('{"none":null,"n":1.10,"deep":{"fill_price":"412.51"}}') },
      'a name less': { data: parseExact('{"n":1.10,"deep":{"fill_price":"412.50"}}') },
      'a field more': { accountId: 'a1' },
      'a field less': { orderId: null },
      'another type': { eventType: 'order.accepted' },
      'another place': { position: 'C:2/P:2' },
      'another revision': { revision: 4 },
      'another hop': { path: [{ hop: 'h', in: '2026-03-02T14:30:00Z', out: null }] },
      'another clock': { clock: { sourceId: 'gps', sync: null, offsetNs: 5, maxErrorNs: null } },
    };
    expect(differs(shown, { ...proven, said: undefined })).toBeDefined();
    for (const [name, change] of Object.entries(changes)) expect(differs({ ...shown, ...change } as EventFullFragment, proven), name).toBeDefined();
  });
});

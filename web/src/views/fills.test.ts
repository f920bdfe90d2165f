import { describe, expect, it } from 'vitest';
import { formatDecimal } from '../text/decimal';
import { fillsOf } from './fills';
import type { Step } from './order';

let second = 0;
const step = (eventType: string, data: unknown): Step => ({ event: { eventType, data, position: `C:${++second}/P:1`, occurredAt: `2026-03-02T14:30:${String(second).padStart(2, '0')}Z` } }) as unknown as Step;
const sums = (...steps: Step[]): string[] => fillsOf(steps).map((f) => formatDecimal(f.sum));

describe('fills', () => {
  it('are summed exactly', () => {
    expect(sums(step('order.submitted', { quantity: '100' }), step('order.partially_filled', { fill_quantity: '0.1' }), step('order.filled', { fill_quantity: '0.2' }))).toEqual(['0.1', '0.3']);
  });

  it('count once, as they were corrected, and not when they were busted', () => {
    expect(sums(
      step('order.filled', { fill_quantity: '40', exec_id: 'a' }),
      step('order.filled', { fill_quantity: '40', exec_id: 'a' }),
      step('order.filled', { fill_quantity: '60', exec_id: 'b' }),
      step('trade.busted', { exec_ref_id: 'a' }),
      step('trade.corrected', { exec_ref_id: 'b', fill_quantity: '50' }),
      step('trade.busted', { exec_ref_id: 'unknown' }),
    )).toEqual(['40', '100', '60', '50']);
  });
});

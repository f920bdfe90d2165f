import { describe, expect, it } from 'vitest';
import { Ring } from './ring';

describe('a ring', () => {
  it('holds the newest, newest first', () => {
    const ring = new Ring<number>(3);
    for (let i = 1; i <= 5; i++) ring.push(i);
    expect(ring.look()).toEqual([5, 4, 3]);
    expect(ring.counts).toEqual({ seen: 5, passed: 2, waiting: 0 });
  });

  it('counts what nobody has looked at', () => {
    const ring = new Ring<number>(3);
    ring.push(1);
    ring.look();
    for (let i = 2; i <= 4; i++) ring.push(i);
    expect(ring.counts).toEqual({ seen: 4, passed: 0, waiting: 3 });
    ring.push(5);
    expect(ring.counts.passed).toBe(1);
    ring.clear();
    expect(ring.look()).toEqual([]);
    expect(ring.counts).toEqual({ seen: 0, passed: 0, waiting: 0 });
  });
});

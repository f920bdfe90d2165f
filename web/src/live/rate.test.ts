import { expect, it } from 'vitest';
import { Rate } from './rate';

it('a rate counts by second and forgets what is old', () => {
  const rate = new Rate(4);
  rate.add(1_000_000, 2);
  rate.add(1_000_900);
  rate.add(1_002_000, 5);
  expect(rate.series(1_002_000)).toEqual([0, 3, 0, 5]);
  expect(rate.series(1_004_000)).toEqual([0, 5, 0, 0]);
  expect(rate.series(9_000_000)).toEqual([0, 0, 0, 0]);
});

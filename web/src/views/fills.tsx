import { useMemo } from 'react';
import uPlot, { type Options } from 'uplot';
import { Exact } from '../api/exact';
import { axisOf, Plot, type Ink } from '../parts/plot';
import { Panel } from '../parts/states';
import { add, compare, formatDecimal, grouped, negative, parseDecimal, share, zero, type Decimal } from '../text/decimal';
import { nanosOf } from '../text/moment';
import type { Step } from './order';

interface Fill {
  readonly seconds: number; // since the first step, to draw
  readonly sum: Decimal;
}

function fieldsOf(data: unknown): Record<string, unknown> {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
}

function quantityOf(data: unknown): Decimal | undefined {
  for (const name of ['fill_quantity', 'last_quantity', 'quantity']) {
    const value = fieldsOf(data)[name];
    const found = typeof value === 'string' || typeof value === 'number' || value instanceof Exact ? parseDecimal(value.toString()) : undefined;
    if (found) return found;
  }
  return undefined;
}

const textOf = (data: unknown, name: string): string | undefined => {
  const value = fieldsOf(data)[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** Each execution once, however often it is told; without what was busted, and as it was corrected. */
export function fillsOf(steps: readonly Step[]): Fill[] {
  const times = steps.map(({ event }) => nanosOf(event.occurredAt) ?? 0n);
  const first = times.reduce((a, b) => (b < a ? b : a), times[0] ?? 0n);
  const known = new Map<string, Decimal>();
  let sum = zero;
  const out: Fill[] = [];
  const executions = steps.map((step, i) => ({ event: step.event, at: times[i] ?? first })).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  for (const { event: { eventType, data, position }, at } of executions) {
    const amends = eventType === 'trade.busted' || eventType === 'trade.corrected';
    if (!amends && !/^order\.(partially_)?filled$/.test(eventType)) continue;
    const own = textOf(data, 'exec_id');
    const id = (amends ? (textOf(data, 'exec_ref_id') ?? own) : own) ?? position;
    const before = known.get(id);
    if (amends === (before === undefined)) continue; // told again, or of what is not known
    const quantity = eventType === 'trade.busted' ? zero : quantityOf(data);
    if (!quantity) continue;
    known.set(id, quantity);
    sum = add(sum, before ? add(quantity, negative(before)) : quantity);
    out.push({ seconds: Number(at - first) / 1e9, sum });
  }
  return out;
}

/** How much of what was ordered was filled when. Sums are exact; only pixels are rounded. */
export function Fills({ steps, ordered }: { steps: readonly Step[]; ordered: string | null }) {
  const fills = useMemo(() => fillsOf(steps), [steps]);
  const wanted = ordered === null ? undefined : parseDecimal(ordered);
  const data = useMemo((): uPlot.AlignedData => {
    const whole = wanted && compare(wanted, zero) > 0 ? wanted : fills.at(-1)?.sum ?? zero;
    const end = fills.at(-1)?.seconds ?? 0;
    const x = [0, ...fills.map((f) => f.seconds), end * 1.05 + 0.001];
    const shares = [0, ...fills.map((f) => share(f.sum, whole) * 100)];
    return [x, [...shares, shares.at(-1) ?? 0], x.map(() => 100)];
  }, [fills, wanted]);
  const last = fills.at(-1);
  if (!last) return null;
  const over = wanted !== undefined && compare(last.sum, wanted) > 0;
  return (
    <Panel
      title="Fills against the order" wide
      aside={<span className={over ? 'bad' : ''}><span className="num">{grouped(formatDecimal(last.sum))}</span> of <span className="num">{ordered === null ? 'an unknown quantity' : grouped(ordered)}</span> in {fills.length} {fills.length === 1 ? 'fill' : 'fills'}</span>}
    >
      <Plot label={`Filled quantity over time: ${formatDecimal(last.sum)} of ${ordered ?? 'an unknown quantity'} in ${fills.length} fills`} data={data} height={110} options={fillOptions} />
    </Panel>
  );
}

const fillOptions = (ink: Ink): Omit<Options, 'width' | 'height'> => ({
  scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(105, max * 1.05)] } },
  axes: [axisOf(ink, { values: (_, at) => at.map((s) => `${s} s`), size: 26 }), axisOf(ink, { values: (_, at) => at.map((p) => `${p} %`), size: 52 })],
  cursor: { show: false },
  series: [
    {},
    { stroke: ink.accent, fill: ink.soft, width: 2, ...(uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}) },
    { stroke: ink.text, width: 1, dash: [4, 4], points: { show: false } },
  ],
});

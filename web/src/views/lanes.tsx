import { scaleLinear } from 'd3-scale';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Finding } from '../api/finding';
import { toneOf } from '../parts/words';
import { useZone } from '../parts/zone';
import { onAxis, showDuration } from '../text/duration';
import { nanosOf, showMoment } from '../text/moment';
import { cut, visible } from '../text/plain';
import type { Step } from './order';

const laneHeight = 34;
const left = 108;
const right = 30;
const top = 8;
const axisHeight = 26;

const lanes = [
  { name: 'Signal', stages: ['SIGNAL', 'RECOMMENDATION'] },
  { name: 'Risk', stages: ['RISK'] },
  { name: 'Approval', stages: ['APPROVAL'] },
  { name: 'Order', stages: ['ORDER'] },
  { name: 'Execution', stages: ['EXECUTION'] },
  { name: 'Position', stages: ['POSITION'] },
  { name: 'Other', stages: ['OTHER'] },
] as const;

interface Props {
  readonly steps: readonly Step[];
  readonly log: boolean;
  readonly pins: ReadonlyMap<string, readonly Finding[]>;
  readonly open: (position: string) => void;
}

/** The steps of a chain: a lane for each kind, across by time since the first. */
export function Lanes({ steps, log, pins, open }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(900);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const sized = new ResizeObserver(() => setWidth(Math.max(420, element.clientWidth)));
    sized.observe(element);
    return () => sized.disconnect();
  }, []);
  const [focused, setFocused] = useState(0); // one stop for the tabulator; arrows lead on from there
  const active = Math.min(focused, steps.length - 1);
  const { zone } = useZone();

  const used = lanes.filter((lane, i) => i < 6 || steps.some((step) => (lane.stages as readonly string[]).includes(step.stage)));
  const { placed, whole } = useMemo(() => {
    const at = steps.map(({ event }) => nanosOf(event.occurredAt) ?? 0n);
    const first = at.reduce((a, b) => (b < a ? b : a), at[0] ?? 0n);
    const end = at.reduce((a, b) => (b > a ? b : a), first) - first;
    return { placed: at.map((t) => t - first), whole: end };
  }, [steps]);
  const x = scaleLinear([0, 1], [left + 12, width - right]);
  const laneOf = (step: Step) => Math.max(0, used.findIndex((lane) => (lane.stages as readonly string[]).includes(step.stage)));
  const y = (lane: number) => top + lane * laneHeight + laneHeight / 2;
  const points = steps.map((step, i) => ({ step, i, since: placed[i] ?? 0n, x: x(onAxis(placed[i] ?? 0n, whole, log)), y: y(laneOf(step)) }));
  const height = top + used.length * laneHeight + axisHeight;
  return (
    <div ref={box} className="lanes scroll">
      <svg width={width} height={height} role="group" aria-label={`Timeline of ${steps.length} events over ${showDuration(whole)}; arrow keys lead from step to step`}>
        {used.map((lane, i) => (
          <g key={lane.name}>
            <rect x={0} y={top + i * laneHeight} width={width} height={laneHeight} className={i % 2 ? 'lane odd' : 'lane'} />
            <text x={10} y={y(i)} dominantBaseline="central" className="lane-name">{lane.name}</text>
          </g>
        ))}
        {ticks(whole, log).map((tick) => (
          <g key={tick.toString()} transform={`translate(${x(onAxis(tick, whole, log))}, 0)`}>
            <line y1={top} y2={height - axisHeight} className="tick" />
            <text y={height - 9} textAnchor={tick === whole && whole > 0n ? 'end' : 'middle'} className="tick-name">{showDuration(tick)}</text>
          </g>
        ))}
        <polyline points={points.map((p) => `${p.x},${p.y}`).join(' ')} className="thread" />
        {points.map(({ step: { event, stage, latencyFromPrevious }, i, since, x: cx, y: cy }) => {
          const found = pins.get(event.eventId);
          const shown = showMoment(event.occurredAt, zone);
          const says = `Step ${i + 1}, ${stage.toLowerCase()}: ${visible(cut(event.eventType, 80).text)}, ${showDuration(since)} after the first, at ${shown?.time ?? ''} ${shown?.zone ?? ''}${found ? `, anomaly: ${visible(cut(found[0]?.explanation ?? found[0]?.kind ?? '', 200).text)}` : ''}`;
          return (
            <g
              key={event.position} role="button" tabIndex={i === active ? 0 : -1} data-step={i} aria-label={says} className={`step ${toneOf(event.eventType)} ${found ? 'found' : ''}`} transform={`translate(${cx}, ${cy})`} data-latency={latencyFromPrevious}
              onClick={() => open(event.position)}
              onKeyDown={(key) => {
                if (key.key === 'Enter' || key.key === ' ') {
                  key.preventDefault();
                  open(event.position);
                }
                const to = key.key === 'ArrowRight' ? i + 1 : key.key === 'ArrowLeft' ? i - 1 : -1;
                if (to >= 0 && to < points.length) {
                  key.preventDefault();
                  setFocused(to);
                  box.current?.querySelector<SVGElement>(`[data-step="${to}"]`)?.focus();
                }
              }}
            >
              <title>{says}</title>
              <circle r={12} className="target" />
              <circle r={5.5} className="dot" />
              {found && <path d="M0,-7 V-19 L9,-16 L0,-13" className="flag-mark" />}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function ticks(whole: bigint, log: boolean): bigint[] {
  if (whole <= 0n) return [0n];
  if (!log) {
    return [0n, whole / 4n, whole / 2n, (whole * 3n) / 4n, whole];
  }
  const out = [0n];
  for (let t = 10_000n; t < whole; t *= 10n) if (onAxis(t, whole, true) < 0.9 && onAxis(t, whole, true) > 0.08) out.push(t);
  return [...out, whole];
}

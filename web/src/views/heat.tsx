import { scaleLinear, scaleSqrt } from 'd3-scale';
import { useEffect, useMemo, useRef, useState, type PointerEvent } from 'react';
import type { HeatQuery } from '../gen/graphql';
import { useZone } from '../parts/zone';
import { showMoment } from '../text/moment';
import { cut, visible } from '../text/plain';

type Heatmap = HeatQuery['anomalyHeatmap'];

interface Props {
  readonly heat: Heatmap;
  readonly start: number;
  readonly end: number;
  readonly bucketMs: number;
  readonly chosen: { at: number; row: string | undefined } | undefined;
  readonly zoom: (from: number, to: number) => void;
  readonly choose: (at: number, row: string | undefined) => void;
}

interface Cell {
  readonly at: number;
  readonly row: string | undefined;
  readonly count: number;
}

const keyOf = ({ at, row }: Cell): string => `${at} ${row ?? ''}`;

const left = 190;
const rowHeight = 24;
const axis = 26;

/**
 * Time across, a row for each kind, strategy or account, the darker the more. Drag across columns to zoom;
 * click a cell, or go to it by keys and press Enter, to list what is in it.
 */
export function Heat({ heat, start, end, bucketMs, chosen, zoom, choose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(900);
  const [active, setActive] = useState<string>();
  const [brush, setBrush] = useState<{ from: number; to: number }>();
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const sized = new ResizeObserver(() => setWidth(Math.max(460, element.clientWidth)));
    sized.observe(element);
    return () => sized.disconnect();
  }, []);
  const { zone } = useZone();
  const { rows, sums, most } = useMemo(() => {
    // A cell is of one severity: here they count together.
    const byCell = new Map<string, { at: number; row: string | undefined; count: number }>();
    for (const cell of heat.cells) {
      const at = Date.parse(cell.at);
      const key = `${at} ${cell.value ?? ''}`;
      byCell.set(key, { at, row: cell.value ?? undefined, count: (byCell.get(key)?.count ?? 0) + cell.count });
    }
    const all = [...byCell.values()].sort((a, b) => a.at - b.at);
    return { rows: heat.rows.map((row) => ({ value: row.value ?? undefined, count: row.count })), sums: all, most: all.reduce((n, cell) => Math.max(n, cell.count), 1) };
  }, [heat]);
  const x = scaleLinear([start, end], [left, width - 8]);
  const darkness = scaleSqrt([0, most], [0.18, 1]);
  const height = rows.length * rowHeight + axis;
  const timeAt = (event: PointerEvent) => x.invert(event.clientX - (box.current?.getBoundingClientRect().left ?? 0) + (box.current?.scrollLeft ?? 0));
  const rowOf = new Map(rows.map(({ value }, i) => [value, i]));
  const order = (cell: Cell) => rowOf.get(cell.row) ?? -1;
  const drawn = sums.filter((cell) => rowOf.has(cell.row));
  const current = drawn.find((cell) => keyOf(cell) === active) ?? drawn[0];
  // One stop for the tabulator; arrows lead on from there.
  const step = (from: Cell, key: string): Cell | undefined => {
    const line = drawn.filter((cell) => cell.row === from.row);
    if (key === 'ArrowRight') return line.find((cell) => cell.at > from.at);
    if (key === 'ArrowLeft') return line.findLast((cell) => cell.at < from.at);
    const beside = key === 'ArrowDown' ? drawn.filter((cell) => order(cell) > order(from)) : key === 'ArrowUp' ? drawn.filter((cell) => order(cell) < order(from)) : [];
    const distance = (cell: Cell) => Math.abs(order(cell) - order(from)) * 1e15 + Math.abs(cell.at - from.at);
    return beside.reduce<Cell | undefined>((best, cell) => (best === undefined || distance(cell) < distance(best) ? cell : best), undefined);
  };
  const clock = (ms: number) => showMoment(new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z'), zone);
  return (
    <div ref={box} className="heat scroll">
      <svg
        width={width} height={height} role="group" aria-label={`Heat map of ${sums.length} cells in ${rows.length} rows; arrow keys lead from cell to cell`}
        onPointerDown={(event) => {
          const at = timeAt(event);
          if (event.button === 0 && at >= start) setBrush({ from: at, to: at });
        }}
        onPointerMove={(event) => brush && setBrush({ from: brush.from, to: timeAt(event) })}
        onPointerLeave={() => setBrush(undefined)}
        onPointerUp={() => {
          setBrush(undefined);
          if (brush && Math.abs(x(brush.to) - x(brush.from)) > 6) zoom(Math.max(start, Math.min(brush.from, brush.to)), Math.min(end, Math.max(brush.from, brush.to)));
        }}
      >
        {rows.map(({ value, count }, i) => (
          <g key={value ?? ''}>
            <rect x={left} y={i * rowHeight} width={Math.max(0, width - left - 8)} height={rowHeight - 2} className="lane" />
            <text x={left - 8} y={i * rowHeight + rowHeight / 2} textAnchor="end" dominantBaseline="central" className="lane-name">
              {value === undefined ? 'none named' : visible(cut(value, 20).text)} · {count}
            </text>
          </g>
        ))}
        {drawn.map((cell) => {
          const { at, row, count } = cell;
          const i = order(cell);
          const isChosen = chosen?.at === at && chosen.row === row;
          const shown = clock(at);
          const says = `${count} of ${row === undefined ? 'none named' : visible(cut(row, 60).text)} from ${shown?.date ?? ''} ${shown?.time ?? ''} ${shown?.zone ?? ''}`;
          const pick = () => choose(at, row);
          return (
            <rect
              key={keyOf(cell)} data-cell={keyOf(cell)} x={x(at)} y={i * rowHeight} width={Math.max(2, x(Math.min(end, at + bucketMs)) - x(at) - 1)} height={rowHeight - 2} fillOpacity={darkness(count)}
              className={isChosen ? 'cell chosen' : 'cell'} role="button" tabIndex={cell === current ? 0 : -1} aria-label={says} aria-pressed={isChosen} onClick={pick}
              onKeyDown={(event) => {
                if (event.key === 'Enter' || event.key === ' ') {
                  event.preventDefault();
                  pick();
                }
                const next = step(cell, event.key);
                if (next) {
                  event.preventDefault();
                  setActive(keyOf(next));
                  box.current?.querySelector<SVGElement>(`[data-cell="${CSS.escape(keyOf(next))}"]`)?.focus();
                }
              }}
            >
              <title>{says}</title>
            </rect>
          );
        })}
        {x.ticks(5).map((tick) => (
          <text key={tick} x={Math.min(width - 60, Math.max(left + 30, x(tick)))} y={height - 9} textAnchor="middle" className="tick-name">{end - start > 36 * 3_600_000 ? clock(tick)?.date : clock(tick)?.time}</text>
        ))}
        {brush && <rect x={Math.min(x(brush.from), x(brush.to))} width={Math.abs(x(brush.to) - x(brush.from))} y={0} height={height - axis} className="brush" />}
      </svg>
      {heat.rest > 0 && <p className="note">The {rows.length} rows with the most; {heat.rest.toLocaleString('en')} anomalies are of others.</p>}
    </div>
  );
}

import { useMemo } from 'react';
import uPlot, { type Options } from 'uplot';
import { axisOf, Plot, type Ink } from './plot';

const seconds = (n: number) => Array.from({ length: n }, (_, i) => i - n + 1);

export function RateChart({ rate }: { rate: readonly number[] }) {
  const data = useMemo((): uPlot.AlignedData => [seconds(rate.length), [...rate]], [rate]);
  return <Plot label={`Events by second over the last minute; ${rate.at(-2) ?? 0} in the last one`} data={data} height={90} options={rateOptions} />;
}

const rateOptions = (ink: Ink): Omit<Options, 'width' | 'height'> => ({
  scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(5, max * 1.1)] } },
  axes: [axisOf(ink, { values: (_, at) => at.map((s) => `${s} s`), size: 26 }), axisOf(ink, { size: 52 })],
  cursor: { show: false },
  series: [{}, { stroke: ink.accent, fill: ink.soft, width: 1.5, points: { show: false }, ...(uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: -1 }) } : {}) }],
});

import { useEffect, useRef } from 'react';
import uPlot, { type AlignedData, type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';

interface Props {
  readonly label: string; // for who can't see it
  readonly data: AlignedData;
  readonly height?: number;
  /** Must stay the same object while it means the same. */
  readonly options: (ink: Ink) => Omit<Options, 'width' | 'height'>;
}

export interface Ink {
  readonly text: string;
  readonly line: string;
  readonly accent: string;
  readonly soft: string;
  readonly bad: string;
}

function inkOf(element: Element): Ink {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return { text: read('faint'), line: read('line'), accent: read('accent'), soft: read('accent-soft'), bad: read('bad') };
}

/** A chart over numbers that are counts, shares or times; drawn anew when the colours change. */
export function Plot({ label, data, height = 120, options }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const newest = useRef(data);
  useEffect(() => {
    newest.current = data;
    plot.current?.setData(data);
  }, [data]);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot({ legend: { show: false }, ...options(inkOf(element)), width: element.clientWidth, height }, newest.current, element);
    };
    draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    sized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    return () => {
      sized.disconnect();
      scheme.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [options, height]);
  return <div ref={box} className="plot" role="img" aria-label={label} />;
}

export const axisOf = (ink: Ink, more: uPlot.Axis = {}): uPlot.Axis => ({
  stroke: ink.text, grid: { stroke: ink.line, width: 1 }, ticks: { stroke: ink.line, width: 1, size: 4 }, font: '11px system-ui, sans-serif', ...more,
});

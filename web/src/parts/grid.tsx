import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';

export interface Column<T> {
  readonly id: string;
  readonly name: string;
  readonly cell: (row: T) => ReactNode;
  readonly width: string; // of CSS grid
}

interface Props<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly open?: (row: T) => void;
  /** Is called when the end comes into sight. */
  readonly more?: () => void;
  readonly toneOf?: (row: T) => string;
}

const rowHeight = 26;

/**
 * A table of any length: only the rows in sight are in the page. Arrow keys move from
 * row to row, Enter opens one.
 */
export function Grid<T>({ label, columns, rows, keyOf, open, more, toneOf }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [activeKey, setActive] = useState<string>();
  const active = useMemo(() => (activeKey === undefined ? -1 : rows.findIndex((row) => keyOf(row) === activeKey)), [rows, keyOf, activeKey]);
  const name = useId();
  const list = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => rowHeight, overscan: 12 });
  const drawn = list.getVirtualItems();
  const last = drawn.at(-1)?.index ?? -1;
  useEffect(() => {
    if (more && last >= rows.length - 30) more();
  }, [more, last, rows.length]);

  // Who has scrolled away from the top goes on seeing the same rows when new ones come.
  const first = useRef<string>(undefined);
  useLayoutEffect(() => {
    const [was, top] = [first.current, rows[0]];
    first.current = top && keyOf(top);
    if (was === undefined || was === first.current || !box.current || box.current.scrollTop < rowHeight) return;
    const moved = rows.findIndex((row) => keyOf(row) === was);
    if (moved > 0) box.current.scrollTop += moved * rowHeight;
  }, [rows, keyOf]);

  const move = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowHeight) - 2);
    const steps: Partial<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    const step = steps[event.key];
    if (step !== undefined && rows.length > 0) {
      event.preventDefault();
      const to = Math.min(rows.length - 1, Math.max(0, active + step));
      const row = rows[to];
      setActive(row && keyOf(row));
      list.scrollToIndex(to);
    } else if (event.key === 'Enter' && event.target === box.current) {
      const row = rows[active];
      if (row !== undefined) open?.(row);
    }
  };

  const template = { gridTemplateColumns: columns.map((c) => c.width).join(' ') };
  return (
    <div
      ref={box} className="grid" role="grid" tabIndex={0} aria-label={label} aria-rowcount={rows.length + 1} aria-colcount={columns.length}
      aria-activedescendant={drawn.some((item) => item.index === active) ? `${name}-${active}` : undefined} onKeyDown={move}
    >
      <div role="rowgroup" className="head">
        <div role="row" aria-rowindex={1} className="row" style={template}>
          {columns.map((column) => (
            <div key={column.id} role="columnheader">{column.name}</div>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="body" style={{ height: list.getTotalSize() }}>
        {drawn.map(({ index, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <div
              key={keyOf(row)} id={`${name}-${index}`} role="row" aria-rowindex={index + 2} aria-selected={index === active}
              className={`row ${toneOf?.(row) ?? ''}`} style={{ ...template, transform: `translateY(${start}px)`, height: rowHeight }}
              onClick={(event) => {
                setActive(keyOf(row));
                if (!(event.target as Element).closest('a, button')) open?.(row);
              }}
            >
              {columns.map((column) => (
                <div key={column.id} role="gridcell">{column.cell(row)}</div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

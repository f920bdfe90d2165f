import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { filterOf } from '../api/filter';
import type { EventFilter } from '../gen/graphql';
import { useFeed } from '../live/feed';
import { eventColumns } from '../parts/columns';
import { Toggle } from '../parts/controls';
import { useEventSheet } from '../parts/event';
import { Filters } from '../parts/filters';
import { Grid } from '../parts/grid';
import { RateChart } from '../parts/rate';
import { Empty, Problem, useTitle } from '../parts/states';

export default function Live() {
  useTitle('Live');
  const [params] = useSearchParams();
  const filter = useMemo(() => filterOf(params), [params]);
  return (
    <>
      <h1>Live feed</h1>
      <Filters without={['from', 'to']} />
      <Feed key={JSON.stringify(filter)} filter={filter} />
    </>
  );
}

const columns = eventColumns(['what', 'seal']);

function Feed({ filter }: { filter: EventFilter }) {
  const [params, setParams] = useSearchParams();
  const paused = params.get('paused') === '1';
  const { drawn, error, clear } = useFeed(filter, paused);
  const { open, sheet } = useEventSheet();
  const perSecond = drawn.rate.at(-2) ?? 0; // the last one that is over
  return (
    <>
      <RateChart rate={drawn.rate} />
      <div className="bar">
        <span><b className="num" data-testid="seen">{drawn.seen.toLocaleString('en')}</b> received</span>
        <span><b className="num">{perSecond.toLocaleString('en')}</b> in the last second</span>
        <span title="They came and went between two pictures, or while it was paused. The views of events have them."><b className="num" data-testid="passed">{drawn.passed.toLocaleString('en')}</b> not drawn</span>
        {paused && <span className="warn"><b className="num">{drawn.waiting.toLocaleString('en')}</b> since the pause</span>}
        <span className="push" />
        <Toggle label="Pause" on={paused} onChange={(on) => setParams((old) => {
          const next = new URLSearchParams(old);
          if (on) next.set('paused', '1');
          else next.delete('paused');
          return next;
        }, { replace: true })} />
        <button type="button" onClick={clear}>Clear</button>
      </div>
      {error !== undefined && <Problem error={error} />}
      {drawn.rows.length === 0 ? <Empty>Nothing has been recorded since this page was opened.</Empty> : <Grid label="Live events" columns={columns} rows={drawn.rows} keyOf={(e) => e.position} open={open} />}
      {sheet}
    </>
  );
}

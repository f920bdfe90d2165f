import { useSearchParams } from 'react-router';
import type { EventFilter } from '../gen/graphql';
import { mostRows, useHistory } from '../live/history';
import { eventColumns } from './columns';
import { Toggle } from './controls';
import { useEventSheet } from './event';
import { Grid } from './grid';
import { Empty, Loading, Problem } from './states';
import { toneOf, Words } from './words';

interface Props {
  readonly label: string;
  readonly filter: EventFilter;
  readonly without?: readonly string[];
}

/** Events, the newest first, of any number, with a live mode that can be paused. */
export function EventHistory(props: Props) {
  const [params] = useSearchParams();
  const before = params.get('before') ?? undefined;
  // Another filter is another list.
  return <List key={JSON.stringify([props.filter, before])} {...props} before={before} />;
}

function List({ label, filter, without, before }: Props & { before: string | undefined }) {
  const [params, setParams] = useSearchParams();
  const live = params.get('live') === '1' && before === undefined;
  const paused = params.get('paused') === '1';
  const history = useHistory(filter, before, live, paused);
  const { open, sheet } = useEventSheet();
  const set = (name: string, value: string | undefined) =>
    setParams((old) => {
      const next = new URLSearchParams(old);
      if (value === undefined) next.delete(name);
      else next.set(name, value);
      return next;
    }, { replace: true, preventScrollReset: true });

  return (
    <div className="history">
      <div className="bar">
        <span role={live ? undefined : 'status'}>
          {history.total !== undefined ? `${history.total.toLocaleString('en')} ${history.total === 1 ? 'event' : 'events'}` : `${history.rows.length.toLocaleString('en')} events read`}
          {history.failed > 0 && <span className="warn"> · the expression made no sense on {history.failed}: <Words text={history.failure} most={120} /></span>}
        </span>
        <span className="push" />
        {before !== undefined ? (
          <button type="button" onClick={() => set('before', undefined)}>Back to the newest</button>
        ) : (
          <>
            <Toggle label="Live" on={live} onChange={(on) => set('live', on ? '1' : undefined)} />
            {live && <Toggle label={paused && history.waiting > 0 ? `Paused, ${history.waiting.toLocaleString('en')} waiting` : 'Pause'} on={paused} onChange={(on) => set('paused', on ? '1' : undefined)} />}
          </>
        )}
      </div>
      {history.error !== undefined && <Problem error={history.error} again={history.again} />}
      {history.rows.length === 0 && history.state === 'end' && !history.loading && <Empty>No event matches{live ? ', yet' : ''}.</Empty>}
      {history.rows.length > 0 && (
        <Grid label={label} columns={eventColumns(without)} rows={history.rows} keyOf={(e) => e.position} open={open} more={history.more} toneOf={(e) => (e.eventType === 'anomaly.detected' ? toneOf(e.eventType) : '')} />
      )}
      <div className="bar">
        {history.loading && <Loading what="events" />}
        {history.state === 'paused' && !history.loading && <>Nothing found in a long stretch of the log. <button type="button" onClick={history.again}>Look further back</button></>}
        {history.state === 'full' && <>{mostRows.toLocaleString('en')} events are shown. <button type="button" onClick={() => set('before', history.cursor)}>Go on from here</button></>}
        {history.state === 'end' && history.rows.length > 0 && <span className="note">That is all.</span>}
      </div>
      {sheet}
    </div>
  );
}

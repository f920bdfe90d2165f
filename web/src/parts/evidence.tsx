import { Link } from 'react-router';
import { useEvidence } from '../api/evidence';
import { Loading } from './states';
import { hrefOf, Moment, Short, Type } from './words';

interface Props {
  readonly ids: readonly string[];
  readonly detected: { readonly position: string; readonly accountId?: string | null };
}

/** The events that show an anomaly, each with a way to it, in the order in which it names them. */
export function EvidenceList({ ids, detected }: Props) {
  const { found, looking } = useEvidence(ids, detected);
  if (ids.length === 0) return null;
  return (
    <>
      {looking && <Loading what="the evidence" />}
      <ol className="evidence">
        {ids.slice(0, mostShown).map((id, i) => {
          const event = found.get(id);
          if (!event) return <li key={`${i} ${id}`}><Link to={`/search?${new URLSearchParams({ q: `event: ${id}` }).toString()}`}>event <Short text={id} /></Link></li>;
          const at = new URLSearchParams({ event: event.position }).toString();
          return (
            <li key={`${i} ${id}`}>
              <Link to={event.orderId ? `${hrefOf('order', event.orderId)}&${at}` : `/events?${at}`}><Type type={event.eventType} /> {event.orderId && <>of order <Short text={event.orderId} /></>}</Link>{' '}
              <Moment at={event.occurredAt} />
            </li>
          );
        })}
      </ol>
      {ids.length > mostShown && <p className="note">The first {mostShown} of {ids.length.toLocaleString('en')}; the event has all.</p>}
    </>
  );
}

const mostShown = 50;

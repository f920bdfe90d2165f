import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { filterOf } from '../api/filter';
import { Filters } from '../parts/filters';
import { EventHistory } from '../parts/history';
import { useTitle } from '../parts/states';
import { Words } from '../parts/words';

/** The events about anything else, such as a venue. */
export default function Entity() {
  const [params] = useSearchParams();
  const [kind, id] = [params.get('kind') ?? '', params.get('id') ?? ''];
  useTitle(`${kind} ${id}`);
  const filter = useMemo(() => ({ ...filterOf(params), entityType: kind, entityId: id }), [params, kind, id]);
  return (
    <>
      <h1><span className="kind"><Words text={kind} /></span> <Words text={id} /></h1>
      <Filters />
      <EventHistory label={`Events of ${kind} ${id}`} filter={filter} />
    </>
  );
}

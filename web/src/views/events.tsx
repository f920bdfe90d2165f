import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { filterOf } from '../api/filter';
import { Filters } from '../parts/filters';
import { EventHistory } from '../parts/history';
import { useTitle } from '../parts/states';

export default function Events() {
  useTitle('Events');
  const [params] = useSearchParams();
  const filter = useMemo(() => filterOf(params), [params]);
  return (
    <>
      <h1>Events</h1>
      <Filters />
      <EventHistory label="Events" filter={filter} />
    </>
  );
}

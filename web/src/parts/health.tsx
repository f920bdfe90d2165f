import { useReady } from '../api/ready';
import { useSealed } from '../api/seals';
import { Fact, Facts } from './states';
import { Moment, Words } from './words';

/** Stores, read models and sources, as the service sees them. */
export function Checks() {
  const ready = useReady(3_000);
  if (ready === undefined) return null;
  if (typeof ready === 'string') return <p className="bad" role="status">{ready}</p>;
  return (
    <ul className="checks">
      {ready.checks.map((check) => (
        <li key={check.name}>
          <span className={check.status === 'ok' ? 'light good' : 'light bad'} aria-hidden="true" />
          <Words text={check.name} most={60} /> <span className={check.status === 'ok' ? 'unit' : 'bad'}>{check.status}</span>{' '}
          {check.reason !== undefined && <Words text={check.reason} most={200} />}
        </li>
      ))}
    </ul>
  );
}

/** How far the transparency log is, as it grows. */
export function LogHead() {
  const { newest, witnessed, refused } = useSealed();
  if (!newest) return <p className="note">{refused === undefined ? 'There is no checkpoint yet.' : <>No checkpoint: <Words text={refused} most={200} /></>}</p>;
  return (
    <Facts>
      <Fact name="Sealed up to"><span className="num">{newest.size.toLocaleString('en')}</span> <span className="unit">events</span></Fact>
      <Fact name="Signed"><Moment at={newest.time} /></Fact>
      <Fact name="Witnessed up to">{witnessed ? <span className="num">{witnessed.size.toLocaleString('en')}</span> : <span className="none">no witness</span>}</Fact>
      <Fact name="Log"><Words text={newest.origin} most={80} /></Fact>
      <Fact name="Root"><code>{newest.rootHash}</code></Fact>
    </Facts>
  );
}

import { useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useIntegrity, type Integrity } from '../api/integrity';
import { judgeCertificates, type Judged } from '../proof/certificate';
import { parseKeys } from '../proof/keys';
import { Empty, Fact, Facts } from './states';
import { Moment, Short, Words } from './words';

const verdicts = { intact: 'nothing was changed, removed or left out', doubted: 'in doubt', unknown: 'not verified yet' } as const;

/** How far the service has verified itself, and what it found. */
export function Verification({ integrity }: { integrity: Integrity }) {
  const { verdict, verified, again, doubts, failed } = integrity;
  return (
    <>
      <Facts>
        <Fact name="Verification"><span className={verdict === 'intact' ? 'good' : verdict === 'doubted' ? 'bad' : 'warn'}>{verdicts[verdict]}</span></Fact>
        <Fact name="Verified up to">{verified ? <><span className="num">{verified.size.toLocaleString('en')}</span> <span className="unit">events, at</span> <Moment at={verified.at} /></> : <span className="none">nothing yet</span>}</Fact>
        <Fact name="From the first on, again"><span className="num">{again.toLocaleString('en')}</span> <span className="unit">events</span></Fact>
      </Facts>
      {doubts?.map((doubt) => <p key={doubt} className="bad" role="alert"><Words text={doubt} most={400} /></p>)}
      {failed !== undefined && <p className="warn">The last verification could not be done: <Words text={failed} most={300} /></p>}
    </>
  );
}

/** The same in a line or two, for who looks at the day. */
export function VerificationState() {
  const integrity = useIntegrity(5_000, 1);
  if (integrity === undefined) return null;
  if (typeof integrity === 'string') return <p className="note">Verification: <Words text={integrity} most={200} /></p>;
  return <Verification integrity={integrity} />;
}

const shown = 31;

/** Verification, and the certificates of days, whose signatures are checked in this page. */
export function Certificates() {
  const [params, setParams] = useSearchParams();
  const before = params.get('before') ?? undefined;
  const setBefore = (day: string | undefined) => setParams(day === undefined ? {} : { before: day }, { preventScrollReset: true });
  const integrity = useIntegrity(5_000, shown, before);
  const issued = typeof integrity === 'object' ? JSON.stringify(integrity.certificates) : undefined;
  const judged = useJudged(issued);
  if (integrity === undefined) return null;
  if (typeof integrity === 'string') return <p className="note"><Words text={integrity} most={200} /></p>;
  const oldest = integrity.certificates.at(-1)?.day;
  return (
    <>
      <Verification integrity={integrity} />
      {integrity.certificates.length === 0 && <Empty>There is no certificate yet. Each UTC day that is over, and verified, gets one.</Empty>}
      {judged && judged.length > 0 && (
        <div className="scroll">
          <table className="plain">
            <thead><tr>{['Day', 'Events', 'First leaf', 'Under the checkpoint of', 'Signature', 'Follows the one before', 'File'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
            <tbody>{judged.map((one) => <Row key={one.day} judged={one} />)}</tbody>
          </table>
        </div>
      )}
      <p>
        {before !== undefined && <button type="button" onClick={() => setBefore(undefined)}>The newest</button>}{' '}
        {integrity.more && oldest !== undefined && <button type="button" onClick={() => setBefore(oldest)}>Earlier days</button>}
      </p>
    </>
  );
}

const signatures = { yes: 'right', no: 'WRONG', unable: 'not checked: no Ed25519 in this browser' } as const;

function Row({ judged: { day, certificate: c, signed, follows } }: { judged: Judged }) {
  return (
    <tr>
      <th scope="row">{day}</th>
      {c ? [c.count, c.first, c.size].map((n, i) => <td key={i} className="num">{BigInt(n).toLocaleString('en')}</td>) : <td colSpan={3} className="bad">this is no certificate</td>}
      <td className={signed === 'no' ? 'bad' : signed === 'yes' ? 'good' : 'warn'}>{signatures[signed]}</td>
      <td className={follows === false ? 'bad' : ''}>{follows === undefined ? '–' : follows ? (c?.before === 'none' ? 'it is the first' : 'yes') : 'NO'}</td>
      <td><a href={`/log/certificates/${encodeURIComponent(day)}.txt`} download={`${day}.txt`}><Short text={`${day}.txt`} /></a></td>
    </tr>
  );
}

function useJudged(issued: string | undefined): readonly Judged[] | undefined {
  const [judged, setJudged] = useState<readonly Judged[]>();
  useEffect(() => {
    if (issued === undefined || !isSecureContext) return undefined;
    let gone = false;
    const judge = async () => {
      const response = await fetch('/log/keys', { cache: 'no-store' });
      const keys = response.ok ? await parseKeys(await response.text()) : 'there are no keys';
      const found = await judgeCertificates(JSON.parse(issued) as Integrity['certificates'], typeof keys === 'string' ? [] : keys);
      if (!gone) setJudged(found);
    };
    judge().catch(() => undefined); // asked again with the next answer
    return () => {
      gone = true;
    };
  }, [issued]);
  return judged;
}

import { useState } from 'react';
import { Link } from 'react-router';
import { useSeal } from '../api/seals';
import { grouped } from '../text/decimal';
import { parseDuration, showDuration } from '../text/duration';
import { showMoment } from '../text/moment';
import { cut, visible } from '../text/plain';
import { useZone } from './zone';

/** A text of a stranger: isolated from the direction of what stands around it, and short. */
export function Words({ text, most }: { text: string | null | undefined; most?: number }) {
  const [all, setAll] = useState(false);
  if (text === null || text === undefined || text === '') return <span className="none">–</span>;
  const shown = cut(text, most);
  if (shown.left === 0 || all) return <bdi className="words">{visible(text)}</bdi>;
  return (
    <>
      <bdi className="words">{visible(shown.text)}…</bdi>{' '}
      <button type="button" className="more" onClick={() => setAll(true)}>
        show {shown.left.toLocaleString('en')} more characters
      </button>
    </>
  );
}

/** A text in one line of a table: cut, without a way to see all; the event has it. */
export function Short({ text, most = 48 }: { text: string | null | undefined; most?: number }) {
  if (text === null || text === undefined || text === '') return null;
  const shown = cut(text, most);
  return (
    <bdi className="words">
      {visible(shown.text)}
      {shown.left > 0 && '…'}
    </bdi>
  );
}

/** A moment on the chosen clocks, with every digit that the source gave. */
export function Moment({ at, timeOnly = false }: { at: string | null | undefined; timeOnly?: boolean }) {
  const { zone } = useZone();
  if (!at) return <span className="none">–</span>;
  const shown = showMoment(at, zone);
  if (!shown) return <Short text={at} />;
  return (
    <time dateTime={at} title={`${shown.date} ${shown.time} ${shown.zone}`} className="num">
      {!timeOnly && `${shown.date} `}
      {shown.time}
      {!timeOnly && <span className="unit"> {shown.zone}</span>}
    </time>
  );
}

export function Span({ length }: { length: string | null | undefined }) {
  const nanos = length ? parseDuration(length) : undefined;
  if (nanos === undefined) return <span className="none">–</span>;
  return <span className={nanos < 0n ? 'num bad' : 'num'}>{showDuration(nanos)}</span>;
}

export function Amount({ value }: { value: string | null | undefined }) {
  if (value === null || value === undefined) return <span className="none">–</span>;
  return <span className="num">{grouped(cut(value, 60).text)}</span>;
}

export const Count = ({ n }: { n: number }) => <span className="num">{n.toLocaleString('en')}</span>;

export type Kind = 'order' | 'account' | 'strategy' | 'user' | 'instrument';

/** Where something has its view. Ids are parameters: no path can hold every text. */
export const hrefOf = (kind: Kind, id: string): string => `/${kind}?${new URLSearchParams({ id }).toString()}`;

export function Ref({ kind, id, most }: { kind: Kind; id: string | null | undefined; most?: number }) {
  if (!id) return null;
  return (
    <Link to={hrefOf(kind, id)} title={`${kind}: ${visible(cut(id).text)}`}>
      <Short text={id} {...(most ? { most } : {})} />
    </Link>
  );
}

/** The colour of an event, by the step that its type belongs to. */
export function toneOf(type: string): string {
  if (type.startsWith('anomaly.')) return 'tone-anomaly';
  if (/reject|denied|expired|circuit|duplicate/.test(type)) return 'tone-bad';
  if (/^(signal|recommendation)\./.test(type)) return 'tone-signal';
  if (/^(risk|approval)\./.test(type)) return 'tone-risk';
  if (/filled|execution|position\./.test(type)) return 'tone-fill';
  if (type.startsWith('order.')) return 'tone-order';
  return 'tone-other';
}

export function Type({ type }: { type: string }) {
  return (
    <span className={`type ${toneOf(type)}`}>
      <Short text={type} />
    </span>
  );
}

const seals = {
  RECORDED: 'Durable in the event store, not in the transparency log yet',
  SEALED: 'A leaf of the transparency log, under a signed checkpoint',
  WITNESSED: 'Under a checkpoint that witnesses have cosigned',
} as const;

/** Changes by itself when the event at that position is sealed, and witnessed. */
export function SealBadge({ seal: read, position }: { seal: keyof typeof seals; position?: string }) {
  const seal = useSeal(read, position);
  return (
    <span className={`seal seal-${seal.toLowerCase()}`} title={seals[seal]}>
      {seal.toLowerCase()}
    </span>
  );
}

export function Severity({ severity }: { severity: string | null | undefined }) {
  if (!severity) return <span className="none">–</span>;
  const known = ['info', 'low', 'medium', 'high', 'critical'].includes(severity);
  return (
    <span className={`severity ${known ? `severity-${severity}` : ''}`}>
      <Short text={severity} most={20} />
    </span>
  );
}

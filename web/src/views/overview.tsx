import { lazy, Suspense, useCallback, useMemo, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import type uPlot from 'uplot';
import type { Options } from 'uplot';
import { findingOf, anomalyType } from '../api/finding';
import { DayDocument, EventsBackDocument, ProjectionsDocument, type DayQuery } from '../gen/graphql';
import { useFeed } from '../live/feed';
import { Checks, LogHead } from '../parts/health';
import { VerificationState } from '../parts/integrity';
import { axisOf, Plot, type Ink } from '../parts/plot';
import { RateChart } from '../parts/rate';
import { Empty, Fact, Facts, Loading, Panel, Problem, useEvery, useTitle } from '../parts/states';
import { Amount, Count, Moment, Ref, Severity, Short, Span } from '../parts/words';
import { parseDuration } from '../text/duration';
import { dayOf } from '../text/moment';

const Report = lazy(() => import('../parts/report').then(({ Report: default_ }) => ({ default: default_ })));

/** The day at a glance. */
export default function Overview() {
  useTitle('Overview');
  const [params, setParams] = useSearchParams();
  const [today, setToday] = useState(() => dayOf(new Date()));
  useEvery(1_000, useCallback(() => setToday(dayOf(new Date())), []));
  const asked = params.get('day');
  const day = asked !== null && /^\d{4}-\d\d-\d\d$/.test(asked) ? asked : today;
  return (
    <>
      <div className="title">
        <h1>{day === today ? 'Today' : day}</h1>
        <label className="inline">UTC day <input type="date" value={day} max={today} onChange={(e) => setParams(e.target.value && e.target.value !== today ? { day: e.target.value } : {})} /></label>
        <Suspense fallback={<span className="button wait">Report <span aria-hidden="true">▾</span></span>}><Report about={{ daily: day }} /></Suspense>
      </div>
      <Day day={day} />
      <div className="panels">
        <Panel title="Being recorded" aside={<Link to="/live">Live feed</Link>}><Rates /></Panel>
        <Panel title="Service" aside={<Link to="/operations">Operations</Link>}><Checks /><Lag /></Panel>
        <Panel title="Transparency log" aside={<Link to="/operations">Certificates</Link>}><LogHead /><VerificationState /></Panel>
      </div>
      <Panel title="Newest anomalies" wide aside={<Link to="/anomalies">All anomalies</Link>}><Newest /></Panel>
    </>
  );
}

const everything = {};

function Rates() {
  const { drawn, error } = useFeed(everything, false);
  return error === undefined ? <><RateChart rate={drawn.rate} /><p className="note"><b className="num">{drawn.rate.at(-2) ?? 0}</b> events in the last second</p></> : <Problem error={error} />;
}

function Lag() {
  const [{ data, error, fetching }, again] = useQuery({ query: ProjectionsDocument });
  useEvery(2_000, again, fetching);
  if (error) return <Problem error={error} />;
  if (!data) return null;
  const slowest = data.projections.reduce<{ name: string; lag: string } | undefined>((worst, p) => ((parseDuration(p.lag) ?? 0n) > (parseDuration(worst?.lag ?? 'PT0S') ?? 0n) ? p : worst), undefined);
  const parked = Math.max(0, ...data.projections.map((p) => p.parked));
  return (
    <p className="note">
      {data.projections.length} read models, {slowest ? <>the slowest (<Short text={slowest.name} />) is <Span length={slowest.lag} /> behind</> : 'all at the end of the log'}
      {parked > 0 && <span className="bad"> · {parked} events parked</span>}
    </p>
  );
}

const counted = (day: DayQuery['daily'], match: RegExp) => day.byType.filter((t) => match.test(t.eventType)).reduce((n, t) => n + t.count, 0);

function Day({ day }: { day: string }) {
  const [{ data, error, fetching }, again] = useQuery({ query: DayDocument, variables: { date: day } });
  useEvery(2_000, again, fetching);
  const hours = useMemo((): uPlot.AlignedData => {
    const x = Array.from({ length: 24 }, (_, h) => h);
    const by = new Map(data?.daily.byHour.map((h) => [h.hour, h.count]));
    return [x, x.map((h) => by.get(h) ?? 0)];
  }, [data]);
  if (error) return <Problem error={error} again={again} />;
  if (!data) return fetching ? <Loading what="the day" /> : null;
  const d = data.daily;
  return (
    <>
      <Facts>
        <Fact name="Events"><Count n={d.events} /></Fact>
        <Fact name="Signals"><Count n={counted(d, /^signal\./)} /></Fact>
        <Fact name="Orders submitted"><Count n={counted(d, /^order\.submitted$/)} /></Fact>
        <Fact name="Fills"><Count n={d.fills} /></Fact>
        <Fact name="Rejected"><Count n={counted(d, /^(order|risk|approval)\.rejected$/)} /></Fact>
        <Fact name="Cancelled"><Count n={counted(d, /^order\.cancelled$/)} /></Fact>
        <Fact name="Anomalies"><Count n={counted(d, /^anomaly\.detected$/)} /></Fact>
        <Fact name="Value"><Amount value={d.value} /></Fact>
        <Fact name="Commission"><Amount value={d.commission} /></Fact>
        <Fact name="Average slippage">{d.slippageBps != null ? <><Amount value={d.slippageBps} /> <span className="unit">bps, of {d.slippageFills.toLocaleString('en')} fills</span></> : <span className="none">not recorded</span>}</Fact>
        {d.firstAt != null && <Fact name="From, to"><Moment at={d.firstAt} timeOnly /> – <Moment at={d.lastAt} /></Fact>}
      </Facts>
      {d.events === 0 ? <Empty>Nothing has occurred on this day, as far as it is recorded.</Empty> : (
        <Plot label={`Events by hour of the day in UTC: ${d.byHour.map((h) => `${h.hour} h ${h.count}`).join(', ')}`} data={hours} height={90} options={hourOptions} />
      )}
    </>
  );
}

const hourOptions = (ink: Ink): Omit<Options, 'width' | 'height'> => ({
  scales: { x: { time: false, range: [-0.6, 23.6] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
  axes: [axisOf(ink, { values: (_, at) => at.map((h) => `${h} h`), size: 26 }), axisOf(ink, { size: 52, space: 18 })],
  cursor: { show: false },
  series: [{}, { stroke: ink.accent, fill: ink.accent, width: 0, points: { show: false }, paths: barsOf }],
});

// Bars over whole hours.
const barsOf: uPlot.Series.PathBuilder = (u, series, from, to) => {
  const path = new Path2D();
  const [x, y] = [u.data[0], u.data[series]];
  const base = u.valToPos(0, 'y', true);
  const half = Math.max(1, (u.valToPos(1, 'x', true) - u.valToPos(0, 'x', true)) * 0.36);
  for (let i = from; i <= to; i++) {
    const [h, n] = [x[i], y?.[i]];
    if (h === undefined || !n) continue;
    const at = u.valToPos(h, 'x', true);
    const top = u.valToPos(n, 'y', true);
    path.rect(at - half, top, 2 * half, base - top);
  }
  return { stroke: path, fill: path };
};

function Newest() {
  const [{ data, error, fetching }, again] = useQuery({ query: EventsBackDocument, variables: { filter: { types: [anomalyType] }, last: 8 } });
  useEvery(3_000, again, fetching);
  if (error) return <Problem error={error} again={again} />;
  if (!data) return fetching ? <Loading what="anomalies" /> : null;
  const rows = data.events.edges.map((edge) => edge.node).reverse();
  if (rows.length === 0) return <Empty>Nothing was detected so far.</Empty>;
  return (
    <ul className="findings">
      {rows.map((event) => {
        const finding = findingOf(event);
        return (
          <li key={event.position}>
            <Severity severity={finding.severity} /> <Link to={`/anomalies?${new URLSearchParams({ anomaly: event.entityId ?? event.eventId }).toString()}`}><Moment at={event.occurredAt} /></Link>{' '}
            <b><Short text={finding.kind ?? finding.rule} /></b> <Short text={finding.explanation} most={160} /> <Ref kind="order" id={event.orderId} />
          </li>
        );
      })}
    </ul>
  );
}


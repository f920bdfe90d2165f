import { useEffect, useRef, useState } from 'react';
import { useClient, type CombinedError } from 'urql';
import { MakeReportDocument, ReportJobDocument, type ReportFormat, type ReportInput, type ReportJobFragment } from '../gen/graphql';
import { Actions } from './controls';
import { Short, Words } from './words';

const formats: readonly { id: ReportFormat; name: string }[] = [
  { id: 'PDF', name: 'PDF' }, { id: 'HTML', name: 'HTML' }, { id: 'CSV', name: 'CSV' }, { id: 'JSON', name: 'JSON' }, { id: 'TEXT', name: 'Text' },
];

const bundleChoice = { id: 'BUNDLE', name: 'Proof bundle (JSON)' };

/** Where the proof bundle of something is; a path can't hold "." and "..". */
export const bundleOf = (kind: 'order' | 'event', id: string): string | undefined => (id === '.' || id === '..' ? undefined : `/audit/proof/${kind}/${encodeURIComponent(id)}`);

type Progress = { state: 'none' } | { state: 'making'; rows: number } | { state: 'done'; job: ReportJobFragment } | { state: 'failed'; why: string };

/** Asks for a report, waits for it, and saves it. A bundle is a file of the server's. */
export function Report({ about, bundle }: { about: Omit<ReportInput, 'format'>; bundle?: string | undefined }) {
  const client = useClient();
  const [progress, setProgress] = useState<Progress>({ state: 'none' });
  const gone = useRef<AbortController>(undefined);
  useEffect(() => () => gone.current?.abort(), []);

  const make = async (format: ReportFormat) => {
    gone.current?.abort();
    const run = (gone.current = new AbortController());
    const show = (p: Progress) => {
      if (!run.signal.aborted) setProgress(p);
    };
    show({ state: 'making', rows: 0 });
    let answer: { data?: { report: ReportJobFragment } | undefined; error?: CombinedError | undefined } = await client.mutation(MakeReportDocument, { input: { ...about, format } }).toPromise();
    let wait = 200;
    for (;;) {
      const job = answer.data?.report;
      if (run.signal.aborted) return;
      if (!job) return show({ state: 'failed', why: answer.error?.graphQLErrors[0]?.message ?? 'the server does not answer' });
      if (job.state === 'FAILED') return show({ state: 'failed', why: job.error ?? 'it was not made' });
      if (job.state === 'DONE') {
        show({ state: 'done', job });
        if (job.url) save(job.url, job.fileName);
        return;
      }
      show({ state: 'making', rows: job.rowsWritten });
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(2_000, wait * 1.5);
      answer = await client.query(ReportJobDocument, { id: job.id }).toPromise();
    }
  };

  const prove = async (from: string) => {
    gone.current?.abort();
    const run = (gone.current = new AbortController());
    setProgress({ state: 'making', rows: 0 });
    try {
      const response = await fetch(from, { signal: run.signal });
      if (!response.ok) throw new Error(((await response.json()) as { detail?: string }).detail ?? `the server answered ${response.status}`);
      const file = URL.createObjectURL(await response.blob());
      save(file, 'proof.json');
      URL.revokeObjectURL(file);
      setProgress({ state: 'none' });
    } catch (cause) {
      if (!run.signal.aborted) setProgress({ state: 'failed', why: cause instanceof Error ? cause.message : String(cause) });
    }
  };

  return (
    <span className="report">
      <Actions label="Report" choices={bundle === undefined ? formats : [...formats, bundleChoice]} disabled={progress.state === 'making'} onAction={(id) => void (id === bundleChoice.id && bundle !== undefined ? prove(bundle) : make(id as ReportFormat))} />
      <span role="status" className="note">
        {progress.state === 'making' && `Writing … ${progress.rows.toLocaleString('en')} rows`}
        {progress.state === 'failed' && <>No report: <Words text={progress.why} most={300} /></>}
        {progress.state === 'done' && progress.job.url && (
          <a href={progress.job.url} download={progress.job.fileName} title={`SHA-256 ${progress.job.sha256 ?? ''}`}>
            <Short text={progress.job.fileName} most={80} />
          </a>
        )}
      </span>
    </span>
  );
}

function save(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

import { useId, type SubmitEvent } from 'react';
import { useSearchParams } from 'react-router';
import { filterFields } from '../api/filter';
import { useFormValues } from './form';

/** The filter of a view, as a form; it stands in the address. */
export function Filters({ without = [] }: { without?: readonly string[] }) {
  const [params, setParams] = useSearchParams();
  const id = useId();
  const fields = filterFields.filter((field) => !without.includes(field.name));
  const names = [...fields.map((f) => f.name), 'q'];
  const form = useFormValues(Object.fromEntries(names.map((name) => [name, params.getAll(name).join(', ')])));
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget);
    const next = new URLSearchParams(params);
    for (const name of names) {
      const value = typed.get(name);
      if (value === params.getAll(name).join(', ')) continue; // several values stay what they were
      next.delete(name);
      if (typeof value === 'string' && value.trim() !== '') next.set(name, value.trim());
    }
    next.delete('before');
    setParams(next);
  };
  const active = names.some((name) => params.has(name));
  return (
    <form className="filters" onSubmit={submit} ref={form} role="search" aria-label="Filter events">
      {fields.map(({ name, label, hint }) => (
        <label key={name} htmlFor={id + name}>
          {label}
          <input id={id + name} name={name} placeholder={hint} dir="auto" autoComplete="off" spellCheck={false} />
        </label>
      ))}
      <label htmlFor={`${id}q`} className="wide">
        Expression
        <input id={`${id}q`} name="q" placeholder='slippage_bps > 5 && venue == "NASDAQ"' dir="auto" autoComplete="off" spellCheck={false} />
      </label>
      <button type="submit">Filter</button>
      {active && (
        <button type="button" onClick={() => setParams((before) => {
          const next = new URLSearchParams(before);
          for (const name of [...names, 'before']) next.delete(name);
          return next;
        })}>
          Clear
        </button>
      )}
    </form>
  );
}

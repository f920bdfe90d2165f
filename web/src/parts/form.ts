import { useEffect, useRef, type RefObject } from 'react';

/**
 * Puts values into the fields of a form when they change, and only then: what is being
 * typed elsewhere stays, and so does the focus.
 */
export function useFormValues(values: Readonly<Record<string, string>>): RefObject<HTMLFormElement | null> {
  const form = useRef<HTMLFormElement>(null);
  const shown = JSON.stringify(values);
  useEffect(() => {
    for (const [name, value] of Object.entries(JSON.parse(shown) as Record<string, string>)) {
      const field = form.current?.elements.namedItem(name);
      if (field instanceof HTMLInputElement) field.value = value;
    }
  }, [shown]);
  return form;
}

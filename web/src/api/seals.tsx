import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';
import { CheckpointUpdatedDocument, type HeadFragment, type Seal } from '../gen/graphql';
import { compareCursors } from '../live/cursor';
import { useServer } from './server';

interface Sealed {
  readonly newest?: HeadFragment;
  readonly witnessed?: HeadFragment;
  readonly refused?: string;
}

const SealedContext = createContext<Sealed>({});

/** Follows the checkpoints of the log once for all views. */
export function SealedProvider({ children }: { children: ReactNode }) {
  const { line } = useServer();
  const [sealed, setSealed] = useState<Sealed>({});
  useEffect(
    () =>
      line.follow(CheckpointUpdatedDocument, {}, {
        next: ({ checkpointUpdated: head }) => {
          setSealed((old) => ({ newest: head, ...(head.seal === 'WITNESSED' ? { witnessed: head } : old.witnessed ? { witnessed: old.witnessed } : {}) }));
          return undefined;
        },
        refused: (refused) => setSealed((old) => ({ ...old, refused })),
      }),
    [line],
  );
  return <SealedContext.Provider value={sealed}>{children}</SealedContext.Provider>;
}

export const useSealed = () => useContext(SealedContext);

/** How far an event is by now: what was said when it was read, or what came since. */
export const useSeal = (seal: Seal, position: string | undefined): Seal => sealOf(seal, position, useSealed());

export function sealOf(seal: Seal, position: string | undefined, { newest, witnessed }: Sealed): Seal {
  const below = (head: HeadFragment | undefined) => position !== undefined && head?.position != null && compareCursors(position, head.position) <= 0;
  if (seal === 'WITNESSED' || below(witnessed)) return 'WITNESSED';
  return seal === 'SEALED' || below(newest) ? 'SEALED' : 'RECORDED';
}

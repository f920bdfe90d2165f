import { Provider } from 'urql';
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { newClient } from './http';
import { Line, type LineState } from './line';

/** What the page knows its server by. */
interface Server {
  readonly line: Line; // with all digits of numbers
  readonly fast: Line; // for lines of the live feed, which have no numbers
}

const ServerContext = createContext<Server | undefined>(undefined);

export function ServerProvider({ children }: { children: ReactNode }) {
  const [client] = useState(newClient);
  const [server] = useState<Server>(() => {
    const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`;
    return { line: new Line(url, true), fast: new Line(url, false) };
  });
  return (
    <ServerContext.Provider value={server}>
      <Provider value={client}>{children}</Provider>
    </ServerContext.Provider>
  );
}

export function useServer(): Server {
  const server = useContext(ServerContext);
  if (!server) throw new Error('outside of ServerProvider');
  return server;
}

const worst: readonly LineState[] = ['away', 'connecting', 'live', 'idle'];

/** The worse of both lines. */
export function useLineState(): LineState {
  const { line, fast } = useServer();
  const a = useSyncExternalStore(line.watch, () => line.state);
  const b = useSyncExternalStore(fast.watch, () => fast.state);
  return worst.find((state) => state === a || state === b) ?? 'idle';
}

export interface About {
  readonly version: string;
  readonly build: string;
}

// The server puts the scripts of each build below a path of their own.
const ownBuild = /\/assets\/([0-9a-f]{16})\//.exec(import.meta.url)?.[1];

/** Which server answers, asked anew when the connection changes and every minute. */
export function useAbout(): { about?: About; other: boolean; reachable: boolean } {
  const state = useLineState();
  const [about, setAbout] = useState<About>();
  const [reachable, setReachable] = useState(true);
  useEffect(() => {
    const end = new AbortController();
    const look = async () => {
      try {
        const response = await fetch('/assets/version.json', { signal: end.signal, cache: 'no-store' });
        const said = (await response.json()) as Partial<About>;
        if (typeof said.version === 'string' && typeof said.build === 'string') setAbout({ version: said.version, build: said.build });
        setReachable(true);
      } catch {
        if (!end.signal.aborted) setReachable(false);
      }
    };
    void look();
    const timer = setInterval(() => void look(), reachable ? 60_000 : 2_000);
    return () => {
      end.abort();
      clearInterval(timer);
    };
  }, [state, reachable]);
  return { ...(about ? { about } : {}), other: ownBuild !== undefined && about !== undefined && about.build !== ownBuild, reachable };
}

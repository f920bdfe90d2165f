import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';

export interface Zone {
  readonly id: string; // of the tz database
  readonly name: string;
}

const local = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The clocks that times can be read on. Exchanges are named by their city. */
export const zones: readonly Zone[] = [
  { id: 'UTC', name: 'UTC' },
  { id: local, name: `Local (${local})` },
  { id: 'America/New_York', name: 'NYSE, NASDAQ (New York)' },
  { id: 'America/Chicago', name: 'CME (Chicago)' },
  { id: 'Europe/London', name: 'LSE (London)' },
  { id: 'Europe/Berlin', name: 'Xetra (Frankfurt)' },
  { id: 'Asia/Tokyo', name: 'TSE (Tokyo)' },
  { id: 'Asia/Hong_Kong', name: 'HKEX (Hong Kong)' },
].filter((zone, i, all) => i < 2 || !all.slice(0, i).some((z, k) => k !== 1 && z.id === zone.id)).filter((zone, i) => i !== 1 || zone.id !== 'UTC');

const key = 'tradetrail.zone';

function remembered(): string {
  try {
    const id = localStorage.getItem(key);
    return zones.find((zone) => zone.id === id)?.id ?? 'UTC';
  } catch {
    return 'UTC'; // storage is switched off
  }
}

const ZoneContext = createContext<{ zone: string; choose: (id: string) => void }>({ zone: 'UTC', choose: () => undefined });

export function ZoneProvider({ children }: { children: ReactNode }) {
  const [zone, choose] = useState(remembered);
  useEffect(() => {
    try {
      localStorage.setItem(key, zone);
    } catch {
      // Then it lasts as long as the page.
    }
  }, [zone]);
  return <ZoneContext.Provider value={{ zone, choose }}>{children}</ZoneContext.Provider>;
}

export const useZone = () => useContext(ZoneContext);

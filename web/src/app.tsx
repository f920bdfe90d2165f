import { Component, lazy, Suspense, useState, type ReactNode } from 'react';
import { BrowserRouter, NavLink, Route, Routes, useLocation, useNavigate, useSearchParams } from 'react-router';
import { SealedProvider } from './api/seals';
import { ServerProvider, useAbout, useLineState } from './api/server';
import { useFormValues } from './parts/form';
import { Empty, Loading, useTitle } from './parts/states';
import { Short } from './parts/words';
import { useZone, ZoneProvider, zones } from './parts/zone';
import Overview from './views/overview';

// The component library is half of all scripts, and no first view waits for it.
const Pick = lazy(() => import('./parts/controls').then(({ Pick: default_ }) => ({ default: default_ })));

const Order = lazy(() => import('./views/order'));
const Owner = lazy(() => import('./views/owner'));
const Events = lazy(() => import('./views/events'));
const Entity = lazy(() => import('./views/entity'));
const Anomalies = lazy(() => import('./views/anomalies'));
const Live = lazy(() => import('./views/live'));
const Operations = lazy(() => import('./views/operations'));
const Search = lazy(() => import('./views/search'));

// The server answers at these paths and at no others: pages() in dashboard.go.
export function App() {
  return (
    <ServerProvider>
      <SealedProvider>
      <ZoneProvider>
        <BrowserRouter>
          <Frame>
            <Routes>
              <Route path="/" element={<Overview />} />
              <Route path="/order" element={<Order />} />
              {(['account', 'strategy', 'user', 'instrument'] as const).map((kind) => <Route key={kind} path={`/${kind}`} element={<Owner key={kind} kind={kind} />} />)}
              <Route path="/entity" element={<Entity />} />
              <Route path="/events" element={<Events />} />
              <Route path="/anomalies" element={<Anomalies />} />
              <Route path="/live" element={<Live />} />
              <Route path="/operations" element={<Operations />} />
              <Route path="/search" element={<Search />} />
              <Route path="*" element={<Lost />} />
            </Routes>
          </Frame>
        </BrowserRouter>
      </ZoneProvider>
      </SealedProvider>
    </ServerProvider>
  );
}

const views = [['/', 'Overview'], ['/live', 'Live'], ['/events', 'Events'], ['/anomalies', 'Anomalies'], ['/operations', 'Operations']] as const;

function Frame({ children }: { children: ReactNode }) {
  const { zone, choose } = useZone();
  const { about, other, reachable } = useAbout();
  const state = useLineState();
  const { pathname } = useLocation();
  return (
    <>
      <a className="skip" href="#main">Skip to the content</a>
      <header className="frame">
        <NavLink to="/" className="brand" end>Tradetrail</NavLink>
        <nav aria-label="Views">
          {views.map(([path, name]) => <NavLink key={path} to={path} end>{name}</NavLink>)}
        </nav>
        <SearchBox />
        <Suspense fallback={<span className="button wait">{zones.find(({ id }) => id === zone)?.name} <span aria-hidden="true">▾</span></span>}>
          <Pick label="Time zone" choices={zones} value={zone} onChange={choose} />
        </Suspense>
        <span className={`line line-${reachable ? state : 'away'}`} role="status">
          {!reachable || state === 'away' ? 'reconnecting …' : state === 'live' ? 'live' : state === 'connecting' ? 'connecting …' : 'connected'}
        </span>
      </header>
      {other && (
        <p className="banner" role="alert">
          This page is of another version than the server{about && <> (<Short text={about.version} />)</>}. <button type="button" onClick={() => location.reload()}>Load the new one</button>
        </p>
      )}
      {!reachable && <p className="banner" role="alert">The server does not answer. This page goes on by itself when it does, and misses nothing.</p>}
      <main id="main" tabIndex={-1}>
        <Mishap key={pathname}>
          <Suspense fallback={<Loading what="the view" />}>{children}</Suspense>
        </Mishap>
      </main>
      <footer>
        <span>Server <Short text={about?.version ?? '…'} /></span> <a href="/graphiql">GraphiQL</a> <a href="/openapi.json">OpenAPI</a> <a href="/metrics">Metrics</a> <a href="/assets/THIRD_PARTY">Licences</a>
      </footer>
    </>
  );
}

function SearchBox() {
  const navigate = useNavigate();
  const [params] = useSearchParams();
  // What is being typed stays when a search leads to another view.
  const searched = location.pathname === '/search' ? (params.get('q') ?? '') : undefined;
  const [at, setAt] = useState(searched ?? '');
  if (searched !== undefined && searched !== at) setAt(searched);
  const form = useFormValues({ q: at });
  return (
    <form
      className="box" role="search" aria-label="Everything" ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get('q');
        if (typeof typed === 'string') void navigate(`/search?${new URLSearchParams({ q: typed }).toString()}`);
      }}
    >
      <input name="q" type="search" aria-label="Order, account, event id or expression" placeholder="Order, account, event id or expression" dir="auto" autoComplete="off" spellCheck={false} />
    </form>
  );
}

function Lost() {
  useTitle('Nothing here');
  return <Empty><h1>There is nothing here</h1><p>The views are named above; the box finds orders, accounts and events.</p></Empty>;
}

/** A view that breaks does not take the others along. */
class Mishap extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="state problem" role="alert">
        <h1>This view has failed</h1>
        <p>Perhaps the server is of another version by now. <bdi>{this.state.error.message.slice(0, 300)}</bdi></p>
        <button type="button" onClick={() => location.reload()}>Load the page anew</button>
      </div>
    );
  }
}

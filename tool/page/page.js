// The page: which view an address asks for, going from one to the next, and asking again while somebody looks.

import { Asker, Refused } from './ask.js';
import { find, start } from './box.js';
import { diff } from './diff.js';
import { environment } from './environment.js';
import { Failure, Skeleton, html } from './parts.js';
import { release } from './release.js';
import { releases } from './releases.js';
import { line, minute, second } from './text.js';
import { render } from './vendor/preact.mjs';

const VIEWS = { start, find, releases, release, diff, environment };
/** Seconds between two polls. */
const POLL = 30;
/** How many views keep their answers, for whoever goes back to them. */
const KEPT = 20;

const main = document.getElementById('view');
const box = document.getElementById('box');
const said = document.getElementById('said');
const footer = document.querySelector('footer');

/** What is shown. */
let current;
/** What was shown at other places of the history, by the number of the place. */
const visited = new Map();
let places = history.state?.place ?? 0;
let opened = 0;

/** Shows the view that the address asks for. */
function open(isNavigation) {
  const parameters = new URLSearchParams(location.search);
  const name = parameters.get('view') ?? (parameters.get('q')?.trim() ? 'find' : 'start');
  const shown = {
    key: ++opened,
    name: Object.hasOwn(VIEWS, name) ? name : 'start',
    search: location.search,
    asker: new Asker(),
    y: 0,
  };
  shown.page = { ask: (endpoint, query) => shown.asker.ask(endpoint, query), show: () => draw(shown), go, say };
  shown.view = VIEWS[shown.name](parameters, shown.page);
  leave();
  current = shown;
  box.value = parameters.get('q') ?? '';
  load(shown);
  if (isNavigation) {
    scrollTo(0, 0);
    main.querySelector('h1').focus({ preventScroll: true });
  }
}

function leave() {
  if (!current) return;
  current.y = scrollY;
  current.asker.stop.abort();
  visited.set(current.place, current);
  if (visited.size > KEPT) visited.delete(visited.keys().next().value);
}

/** Goes on to another address of the page. */
function go(to) {
  if (current) current.y = scrollY;
  history.pushState({ place: ++places }, '', to);
  open(true);
  current.place = places;
}

/** Back or forward: what was shown there is shown at once, and asked for again. */
addEventListener('popstate', (event) => {
  if (location.search === current.search && (event.state?.place ?? 0) === current.place) return;
  const place = event.state?.place ?? 0;
  const kept = visited.get(place);
  if (kept?.search === location.search && kept.isLoaded) {
    leave();
    current = kept;
    current.asker.stop = new AbortController();
    box.value = new URLSearchParams(location.search).get('q') ?? '';
    draw(current);
    scrollTo(0, current.y);
    main.querySelector('h1').focus({ preventScroll: true });
    current.view.resume?.();
    poll();
  } else {
    open(true);
  }
  current.place = place;
});

/** Loads a view, or goes on with one that failed. */
async function load(shown) {
  shown.isBusy = true;
  shown.error = undefined;
  draw(shown);
  try {
    await shown.view.load();
    Object.assign(shown, { isLoaded: true, askedAt: Date.now() });
    say('The answer is there.', 'unseen');
  } catch (error) {
    if (!shown.asker.stop.signal.aborted) shown.error = told(error);
  }
  shown.isBusy = false;
  draw(shown);
}

/** An error for people. What is no answer of the API's is a fault of this page. */
function told(error) {
  if (error instanceof Refused) return error;
  console.error(error);
  return new Refused(0, `This page cannot show the answer: ${error}`);
}

/** Asks again for what is shown. What comes moves nothing that somebody reads. */
async function poll() {
  const shown = current;
  if (document.hidden || shown.isBusy || shown.error || !shown.view.poll) return;
  shown.asker.changed = false;
  shown.isBusy = true;
  try {
    const change = await shown.view.poll();
    if (shown !== current) return;
    shown.askedAt = Date.now();
    shown.pollError = undefined;
    if (shown.asker.changed) {
      keepingThePlace(() => draw(shown));
      say(change ?? 'What is shown here has changed.');
    }
  } catch (error) {
    if (shown.asker.stop.signal.aborted) return;
    shown.pollError = told(error);
  } finally {
    shown.isBusy = false;
  }
  draw(shown);
}

/** Draws, and scrolls so that the first thing that was in sight stays where it was. */
function keepingThePlace(drawing) {
  const place = (node) => node.getBoundingClientRect().top;
  const seen = [...main.querySelectorAll('#summary, li, tr, dt')].find((node) => place(node) >= 0);
  const before = seen && place(seen);
  drawing();
  if (seen?.isConnected) scrollBy(0, place(seen) - before);
}

function draw(shown) {
  if (shown !== current) return;
  const { view, error, isBusy } = shown;
  const isLoading = isBusy && !shown.isLoaded;
  const heading = view.heading();
  document.title = `${heading.title ?? heading} · Delivery Center`;
  main.dataset.view = shown.name;
  main.setAttribute('aria-busy', String(isLoading || Boolean(view.isWalking?.())));
  for (const link of document.querySelectorAll('header nav a')) {
    const isHere = new URL(link.href).searchParams.get('view') === shown.name;
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const failure = (failed) => html`<${Failure} error=${failed} again=${() => load(shown)} />`;
  const title = html`<h1 tabindex="-1">${heading.node ?? heading}</h1>`;
  const waiting = isLoading && !view.hasSomething?.() && html`<${Skeleton} />`;
  try {
    render(html`${title}<div key=${shown.key}>${view.draw()}</div>${waiting}${error && failure(error)}`, main);
  } catch (fault) {
    // What was half drawn cannot be drawn on.
    render(null, main);
    render(html`${title}${failure(told(fault))}`, main);
  }
  render(freshness(shown), footer);
}

/** From when what is shown is. */
function freshness({ view, askedAt, pollError }) {
  if (!askedAt) return null;
  const date = new Date(askedAt);
  const at = html`<time datetime=${date.toISOString()} title=${second(date)}>${minute(date).slice(11)}</time>`;
  if (pollError) return html`As of ${at}. Asking again failed: ${line(pollError.message)}`;
  return view.poll ? html`As of ${at}; asked again every ${POLL} s while you look.` : html`As of ${at}.`;
}

let unsaid;
/** Says something to everybody: it is shown for a while, and read out; `unseen` it is only read out. */
function say(text, kind = '') {
  clearTimeout(unsaid);
  said.className = kind;
  said.textContent = text;
  unsaid = setTimeout(() => (said.textContent = ''), 6000);
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !isPlain || link.target || event.defaultPrevented) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || to.pathname !== '/') return;
  event.preventDefault();
  if (to.hash) return main.focus();
  go(to.pathname + to.search);
});

document.addEventListener('keydown', (event) => {
  const isTyping = event.target.matches?.('input, select, textarea, [contenteditable]');
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  box.focus();
  box.select();
});

box.form.addEventListener('submit', (event) => {
  event.preventDefault();
  const q = box.value.trim();
  go(q ? `/?${new URLSearchParams({ q })}` : '/');
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && Date.now() - (current.askedAt ?? Date.now()) > POLL * 1000) poll();
});
setInterval(poll, POLL * 1000);

history.scrollRestoration = 'manual';
history.replaceState({ place: places }, '');
main.replaceChildren();
open(false);
current.place = places;

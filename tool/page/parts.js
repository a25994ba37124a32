// The small parts that several views are made of: times, links, images, commits, and what can be copied.

import htm from './vendor/htm.mjs';
import { Component, h } from './vendor/preact.mjs';
import { address, age, dateOf, firstLine, line, list, minute, number, repository, second, webAddress } from './text.js';

/** Makes nodes of a template. Whatever is put into it becomes text or a property, and never markup. */
export const html = htm.bind(h);

/* Times */

/** A time, relative; exact where one points at it. */
export function Time({ at }) {
  const date = dateOf(at);
  if (!date) return number(at) ? String(at) : 'at an unknown time';
  return html`<time datetime=${date.toISOString()} title=${second(date)}>${age(at)}</time>`;
}

/** A time to the minute, and how long ago that is, for sentences. */
export const When = ({ at }) => {
  const date = dateOf(at);
  return date ? html`<span class="date">${minute(date)}</span> (<${Time} at=${at} />)` : html`<${Time} at=${at} />`;
};

/** A time, relative and then to the minute, for lists. */
export const At = ({ at }) =>
  html`<${Time} at=${at} />${dateOf(at) && html` <small class="date">${minute(dateOf(at))}</small>`}`;

/* Links */

/** A link to another view of the page. */
export const View = ({ to, children, ...more }) => html`<a href=${address(to)} ...${more}>${children}</a>`;

/** A link that leaves the page, where the address is one of the web; else its text. */
export function Away({ to, children = line(to) }) {
  const url = webAddress(to);
  return url ? html`<a href=${url}>${children}</a>` : children;
}

/** Where the view of a release is: by its id, and by the time that leads to it. */
export const releaseAddress = ({ id, created_at: at }) => ({ view: 'release', id, at: String(at) });

/** An image whose name and tag stand out from where it is. */
export function ImageName({ image }) {
  const shown = line(image);
  const start = repository(shown).lastIndexOf('/') + 1;
  const breakable = (part) => part.split(/(?<=[/:@])/).map((piece) => html`${piece}<wbr />`);
  return html`<span class="image"><span class="path">${breakable(shown.slice(0, start))}</span>${breakable(shown.slice(start))}</span>`;
}

/** An image as a link to its story. */
export const ImageLink = ({ image }) =>
  line(image) ? html`<${View} to=${{ q: image }}><${ImageName} image=${image} /><//>` : 'not told';

/* What can be done */

/** A whole text, and a button that copies it. */
export const Copied = ({ what, page, children, ...given }) =>
  html`<span class="copied"><code>${children ?? line(given.text)}</code
    ><button type="button" class="copy" aria-label=${`Copy ${what}`} onClick=${(event) => copy(event, given.text, what, page)}>
      Copy
    </button></span>`;

async function copy({ currentTarget }, copied, what, page) {
  try {
    await navigator.clipboard.writeText(copied);
    page.say(`Copied ${what}.`);
  } catch {
    // There is no clipboard where the address has no HTTPS and is not this machine's, nor where a person forbade it.
    getSelection().selectAllChildren(currentTarget.previousElementSibling);
    page.say(`The browser does not let the page copy. It selected ${what} for you.`);
  }
}

/** What keeps the room of an answer until it is there. */
export const Skeleton = () =>
  html`<div class="skeleton" aria-hidden="true">${Array.from({ length: 8 }, () => html`<i></i>`)}</div>`;

/** What went wrong, in the API's words, and a way to try again. */
export const Failure = ({ error, again }) =>
  html`<div role="alert" class="failure">
    <p>${line(error.message)}</p>
    <button type="button" onClick=${again}>Try again</button>
  </div>`;

/** A name and what is told of it, for each pair that tells something. */
export const Facts = ({ of }) =>
  html`<dl class="facts">
    ${of.filter(([, told]) => told).map(([name, told]) => html`<div><dt>${name}</dt><dd>${told}</dd></div>`)}
  </dl>`;

/** What is made only when it is opened, since it may be long. */
export class Folded extends Component {
  render({ title, children }, { open }) {
    const toggle = (event) => this.setState({ open: event.currentTarget.open });
    return html`<details onToggle=${toggle}><summary>${title}</summary>${open && children()}</details>`;
  }
}

/** A long list, of which the first are shown until all are asked for. */
export class Long extends Component {
  render({ items, first, what, children }, { all }) {
    const isCut = !all && items.length > first;
    const showAll = () => this.setState({ all: true });
    return html`${children(isCut ? items.slice(0, first) : items)}
      ${isCut && html`<button type="button" class="all" onClick=${showAll}>Show all ${items.length} ${what}</button>`}`;
  }
}

/* Commits */

/** `owner/name` of a commit's repository. */
export const repositoryOf = (commit) => [line(commit.repo_owner), line(commit.repo_name)].filter(Boolean).join('/');

/** Who deployed what runs, or ran, in an environment. */
export function deployedBy(activities, { env_name: envName, namespace = '', since }) {
  const isIts = ({ type, env_name: env, namespace: its = '', created_time: at }) =>
    type === 'deploy' && env === envName && its === namespace && at === since;
  return line(activities.find(isIts)?.created_by);
}

/** Where a commit was built, such as `main of koderover/zadig`. */
export const placeOf = (commit) =>
  [line(commit.branch) || line(commit.tag), repositoryOf(commit)].filter(Boolean).join(' of ');

/** The pull requests that a commit belongs to, each once. */
export function pullRequests(commit) {
  const numbers = [commit.pr, ...list(commit.prs)].filter((pr) => number(pr) > 0);
  return [...new Set(numbers)].sort((one, other) => one - other);
}

/** The web address of something in a commit's repository, where its host is known. */
function inRepository(commit, ...path) {
  const host = webAddress(commit.address);
  if (!host || !repositoryOf(commit)) return undefined;
  const { origin, pathname } = new URL(host);
  const parts = [...repositoryOf(commit).split('/'), ...path].map(encodeURIComponent);
  return `${origin}${pathname.replace(/\/+$/, '')}/${parts.join('/')}`;
}

const isGitLab = (commit) => /gitlab/i.test(`${line(commit.source)} ${line(commit.address)}`);

/** A commit's id, or its first digits, as a link to its code host. */
export function CommitLink({ commit, digits = 12 }) {
  const id = line(commit.commit_id);
  if (!id) return 'a commit that is not told';
  const path = isGitLab(commit) ? ['-', 'commit', id] : ['commit', id];
  return html`<${Away} to=${inRepository(commit, ...path)}><code>${id.slice(0, digits)}</code><//>`;
}

/** The pull requests of a commit, as links to its code host. */
export function PullRequestLinks({ commit }) {
  const [sign, ...path] = isGitLab(commit) ? ['!', '-', 'merge_requests'] : ['#', 'pull'];
  const link = (pr) => html` <${Away} to=${inRepository(commit, ...path, pr)}>${sign}${pr}<//>`;
  return pullRequests(commit).map(link);
}

/** A commit on one line: its id, what it says, its pull requests, who wrote it, and where it is. */
export function CommitLine({ commit }) {
  const [author, place] = [line(commit.author_name), placeOf(commit)];
  return html`<div>
    <${CommitLink} commit=${commit} /> ${firstLine(commit.commit_message)}<${PullRequestLinks} commit=${commit} />
    ${' '}<small>${author && `by ${author}`}${author && place && ', '}${place && `on ${place}`}</small>
  </div>`;
}

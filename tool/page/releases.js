// The list of releases, newest first, with its filters.

import { Refused } from './ask.js';
import { At, Failure, View, html, releaseAddress } from './parts.js';
import { address, line, list, moment } from './text.js';

/** The API's filters, each with the word for people. */
const FILTERS = {
  projectName: 'project',
  workflowName: 'workflow',
  taskId: 'task',
  serviceName: 'service',
  envName: 'environment',
  label: 'label',
  version: 'version',
  image: 'image',
  commit: 'commit',
  since: 'since',
  until: 'until',
};
const A_PAGE = 20;

/** A release as the address of a comparison names it. */
export const named = ({ id, created_at: at }) => `${id}@${at}`;

/** The workflow and its task, such as `shop-release 4`; empty where the release was made by hand. */
export const workflowOf = ({ workflowName, taskId }) =>
  [line(workflowName), line(taskId || '')].filter(Boolean).join(' ');

/** The newest releases that match, and more of them behind `Link`. */
export function releaseList(page, filters) {
  const query = { ...filters, verbosity: 'brief' };
  let answers = [];
  let next;
  const self = { filters, chosen: [], moreError: undefined };

  /** The first page; where it cannot be one, as much as one answer holds. */
  async function first() {
    try {
      return await page.ask('releases', { ...query, page: 1, per_page: A_PAGE });
    } catch (error) {
      if (error.status !== 400) throw error;
      // If the question itself is what cannot be read, it is refused again.
      return page.ask('releases', query);
    }
  }

  /** All that are known, each once: pages shift when releases are added. */
  self.releases = () => [...new Map(answers.flat().map((release) => [release.versionInfo.id, release])).values()];
  self.hasMore = () => Boolean(next);
  self.load = async () => {
    const answer = await first();
    answers = [list(answer.json)];
    next = answer.next;
  };

  /**
   * Asks for the first page again, and says what came. What it pushed out stays between it and the others, and where
   * more came than one page holds, that is asked for too.
   */
  self.poll = async () => {
    const known = new Set(self.releases().map(({ versionInfo }) => versionInfo.id));
    const isKnown = ({ versionInfo }) => known.has(versionInfo.id);
    let answer = await first();
    const newest = [...list(answer.json)];
    while (answers.length > 1 && answer.next && !list(answer.json).some(isKnown)) {
      answer = await page.ask('releases', new URLSearchParams(answer.next));
      newest.push(...list(answer.json));
    }
    const last = newest.at(-1)?.versionInfo;
    const isOlder = ({ versionInfo: { created_at: at, id } }) =>
      last && (at < last.created_at || (at === last.created_at && id < last.id));
    const others = answers.slice(1);
    if (!others.length) next = answer.next;
    answers = [newest, ...(others.length ? [answers[0].filter(isOlder)] : []), ...others];
    const come = newest.filter((release) => !isKnown(release)).length;
    return come ? `${come} newer release${come > 1 ? 's' : ''}, at the top.` : undefined;
  };

  self.more = async () => {
    self.moreError = undefined;
    try {
      const answer = await page.ask('releases', new URLSearchParams(next));
      answers.push(list(answer.json));
      next = answer.next;
    } catch (error) {
      if (!(error instanceof Refused)) return;
      self.moreError = error;
    }
    page.show();
  };
  return self;
}

/** The list's items, two of which can be chosen to be compared. */
export function ReleaseItems({ list: shown, page }) {
  const releases = shown.releases().map(({ versionInfo }) => versionInfo);
  const choose = (id) => {
    const isChosen = shown.chosen.includes(id);
    shown.chosen = isChosen ? shown.chosen.filter((one) => one !== id) : [...shown.chosen, id].slice(-2);
    page.show();
  };
  const compare = () => {
    const [to, from] = releases.filter(({ id }) => shown.chosen.includes(id)).map(named);
    page.go(address({ view: 'diff', from, to }));
  };
  const hint = ['Choose two releases to compare them.', 'Choose one more.', ''][shown.chosen.length];
  return html`
    ${
      releases.length > 1
      && html`<div class="compare">
      <button type="button" id="compare" disabled=${Boolean(hint)} onClick=${compare}>Compare</button>
      <span role="status">${hint}</span>
    </div>`
    }
    <ul id="releases">
      ${releases.map((version) => html`<${Item} key=${version.id} version=${version} shown=${shown} choose=${choose} />`)}
    </ul>
    ${shown.moreError && html`<${Failure} error=${shown.moreError} again=${shown.more} />`}
    ${
      shown.hasMore()
      && !shown.moreError
      && html`<button type="button" id="more" onClick=${shown.more}>More releases</button>`
    }`;
}

function Item({ version, shown: { filters, chosen }, choose }) {
  const { id, productName, productEnvInfo, labels } = version;
  const envName = productEnvInfo?.env_name;
  const only = (more) => ({ view: 'releases', ...filters, ...more });
  const name = line(version.version) || line(id);
  const aside = [line(version.desc), workflowOf(version), line(version.createdBy) && `by ${line(version.createdBy)}`];
  return html`<li data-id=${id}>
    <label class="choose">
      <input type="checkbox" checked=${chosen.includes(id)} onChange=${() => choose(id)} />
      <span class="unseen">compare ${name}</span>
    </label>
    <div class="release">
      <${View} class="name" to=${releaseAddress(version)}>${name}<//>
      <${View} to=${only({ projectName: productName })}>${line(productName)}<//>
      ${line(envName) && html`<span>in <${View} to=${{ view: 'environment', envName }}>${line(envName)}<//></span>`}
      ${list(labels).map((label) => html`<${View} class="label" to=${only({ label })}>${line(label)}<//>`)}
    </div>
    <div class="at"><${At} at=${version.created_at} /></div>
    <div class="aside">${aside.filter(Boolean).join(' · ')}</div>
  </li>`;
}

/** The view of the list. */
export function releases(parameters, page) {
  const given = Object.keys(FILTERS).map((name) => [name, parameters.get(name)]);
  const filters = Object.fromEntries(given.filter(([, value]) => value));
  const shown = releaseList(page, filters);
  let isLoaded = false;
  const add = (event) => {
    event.preventDefault();
    const { name, value } = Object.fromEntries(new FormData(event.currentTarget));
    const read = name === 'since' || name === 'until' ? moment(value) : value.trim();
    page.go(address({ view: 'releases', ...filters, [name]: read }));
  };
  const chip = ([name, value]) => {
    const remove = () => page.go(address({ view: 'releases', ...filters, [name]: '' }));
    return html`<span class="chip" key=${name}>
      <span>${FILTERS[name]}: <b>${line(value)}</b></span>
      <button type="button" aria-label=${`Remove the filter ${FILTERS[name]}`} onClick=${remove}>×</button>
    </span>`;
  };
  const none = () => {
    if (shown.hasMore()) return 'None so far. The search goes on behind “More releases”.';
    if (!Object.keys(filters).length) return 'No release is recorded yet.';
    return 'No release matches all of this. Values are matched exactly, upper and lower case included.';
  };
  return {
    heading: () => 'Releases',
    load: async () => {
      await shown.load();
      isLoaded = true;
    },
    poll: shown.poll,
    draw: () => html`
      <div class="filters">
        ${Object.entries(filters).map(chip)}
        <form key="add" onSubmit=${add}>
          <select name="name" aria-label="Filter by">
            ${Object.entries(FILTERS).map(([name, word]) => html`<option value=${name}>${word}</option>`)}
          </select>
          <input name="value" aria-label="Value" placeholder="value; times as 2d or yesterday" required autocomplete="off" />
          <button>Add filter</button>
        </form>
      </div>
      ${isLoaded && !shown.releases().length && html`<p class="none">${none()}</p>`}
      <${ReleaseItems} list=${shown} page=${page} />`,
  };
}

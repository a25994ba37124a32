// An environment: what runs there, since when and from which commit; and beside it another one.

import { Refused } from './ask.js';
import { isSame } from './comparison.js';
import { At, CommitLink, Failure, ImageLink, Time, View, deployedBy, html, releaseAddress } from './parts.js';
import { releaseList } from './releases.js';
import { address, foundUnder, lastDeployEntry, line, list, repository, text } from './text.js';

/** How many versions are asked for at a time. */
const AT_ONCE = 4;

/** A walk through an environment, one image a request. */
function walk(page, envName, namespace) {
  const first = { envName, include: 'environments', ...(namespace && { namespace }) };
  const self = { envName, rows: [], next: first, none: '' };
  const waiting = [];
  let asking = 0;

  /** Goes on from where it is, until it ends or fails. */
  self.go = async () => {
    Object.assign(self, { error: undefined, isWalking: true });
    try {
      while (self.next) await step(new URLSearchParams(self.next));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      self.error = error;
    } finally {
      self.isWalking = false;
      page.show();
    }
  };

  async function step(query) {
    page.show();
    try {
      const { json, next } = await page.ask('artifact', query);
      const row = rowOf(json, query.get('after') ?? '');
      if (row) {
        self.rows.push(row);
        waiting.push(row);
        self.askVersions();
      }
      self.next = next;
    } catch (error) {
      if (error.status !== 404) throw error;
      // Very many in a row have ended, and the walk goes on behind them; or nothing is left.
      self.next = error.next;
      self.none = error.message;
    }
  }

  /**
   * What is told of an artifact; undefined where it was replaced while it was looked at. It may run in several
   * namespaces: this is about the first one behind the place where the step began.
   */
  function rowOf(artifact, after) {
    const image = text(artifact.image);
    const key = (there) => lastDeployEntry(repository(image), text(there.namespace));
    const isHere = (there) =>
      there.running && there.env_name === envName && (!namespace || there.namespace === namespace);
    const all = list(artifact.environments).filter(isHere);
    all.sort((one, other) => (key(one) < key(other) ? -1 : 1));
    const here = all.find((there) => key(there) > after) ?? all[0];
    if (!here) return undefined;
    return {
      service: line(artifact.name) || line(repository(image)),
      image,
      repository: repository(image),
      digest: text(artifact.image_digest),
      namespace: text(here.namespace),
      since: here.since,
      by: deployedBy(list(artifact.activities), here),
      commit: list(list(artifact.activities).find(({ type }) => type === 'build')?.commits)[0],
    };
  }

  /** Asks which release of the environment holds each image, a few at a time. */
  self.askVersions = async () => {
    if (asking >= AT_ONCE || !waiting.length) return;
    const row = waiting.shift();
    asking++;
    try {
      const query = { image: row.image, envName, verbosity: 'brief', page: 1, per_page: 1 };
      const { json } = await page.ask('releases', query);
      row.version = list(json)[0]?.versionInfo ?? {};
    } catch (error) {
      // Somebody went to another view; whoever comes back wants to know it.
      if (!(error instanceof Refused)) return void (waiting.push(row), asking--);
      self.versionError = error;
      row.version = {};
    }
    asking--;
    page.show();
    self.askVersions();
  };
  return self;
}

/** The view of an environment, or of two. */
export function environment(parameters, page) {
  const [envName, namespace, other] = ['envName', 'namespace', 'with'].map((name) => parameters.get(name) ?? '');
  const newest = releaseList(page, {});
  let walks = [];
  const begin = () => {
    if (!envName) return newest.load();
    walks = [walk(page, envName, namespace), ...(other ? [walk(page, other, '')] : [])];
    return Promise.all(walks.map(({ go }) => go()));
  };
  const open = (event) => {
    event.preventDefault();
    page.go(address({ view: 'environment', ...Object.fromEntries(new FormData(event.currentTarget)) }));
  };
  const field = (label, name, value, placeholder) =>
    html`<label>${label}<input name=${name} defaultValue=${value} placeholder=${placeholder} autocomplete="off" /></label>`;
  return {
    heading: () =>
      envName
        ? `What runs in ${line(envName)}${namespace && ` (${line(namespace)})`}${other && ` and ${line(other)}`}`
        : 'What runs in an environment',
    load: begin,
    /** Goes on with what was left open when somebody went to another view. */
    resume: () => walks.forEach(({ askVersions }) => Array.from({ length: AT_ONCE }, askVersions)),
    isWalking: () => walks.some((one) => one.isWalking),
    hasSomething: () => walks.some(({ rows }) => rows.length),
    draw: () => html`
      <form class="which" onSubmit=${open}>
        ${field('Environment', 'envName', envName, 'prod')}
        ${field('Namespace', 'namespace', namespace, 'all of them')}
        ${field('Beside it', 'with', other, 'another environment')}
        <button>Show</button>
      </form>
      ${
        envName
          ? html`<${State} walks=${walks} again=${begin} />`
          : html`<${EnvironmentLinks} releases=${newest.releases()} />`
      }
      ${
        walks.some(({ rows }) => rows.length)
        && (walks.length === 1 ? html`<${Running} rows=${walks[0].rows} />` : html`<${SideBySide} walks=${walks} />`)
      }
      ${walks.map((one) => one.error && html`<${Failure} key=${one.envName} error=${one.error} again=${one.go} />`)}`,
  };
}

/** Links to the environments that releases name. */
export function EnvironmentLinks({ releases }) {
  const names = new Set(releases.map(({ versionInfo }) => versionInfo?.productEnvInfo?.env_name).filter(line));
  const link = (envName) => html`<${View} class="chip" to=${{ view: 'environment', envName }}>${line(envName)}<//>`;
  return html`<nav class="environments" aria-label="Environments">
    ${names.size > 0 && html`<span>What runs in</span>${[...names].sort().map(link)}`}
  </nav>`;
}

/** How far it is. Only the end is read out, since hundreds of images may come before it. */
function State({ walks, again }) {
  const isWalking = walks.some((one) => one.isWalking);
  const told = walks.map(({ envName, rows: { length }, next, none }) => {
    if (next) return `${line(envName)}: ${length} so far`;
    return length ? `${line(envName)}: ${length} image${length > 1 ? 's run' : ' runs'}` : line(none);
  });
  const words = `${told.join('; ')}.`;
  const unknown = walks.find(({ versionError }) => versionError)?.versionError;
  return html`<p class="state">
      <span>${isWalking && words}</span><span role="status">${!isWalking && words}</span>
      <button type="button" disabled=${isWalking} onClick=${again}>Walk again</button>
    </p>
    ${unknown && html`<p class="note">Some versions could not be asked for: ${line(unknown.message)}</p>`}`;
}

function Version({ row: { version } }) {
  if (!version) return html`<span class="none">…</span>`;
  if (!version.id) return html`<span class="none">no release</span>`;
  return html`<${View} to=${releaseAddress(version)}>${line(version.version) || line(version.id)}<//>`;
}

const Commit = ({ row: { commit } }) =>
  commit ? html`<${CommitLink} commit=${commit} digits=${7} />` : html`<span class="none">not recorded</span>`;

function Running({ rows }) {
  const row = (row) => html`<tr key=${`${row.repository} ${row.namespace}`} data-repository=${row.repository}>
    <th scope="row">${row.service}${row.namespace && html` <small>${line(row.namespace)}</small>`}</th>
    <td data-label="Image"><${ImageLink} image=${row.image} /></td>
    <td data-label="Version"><${Version} row=${row} /></td>
    <td data-label="Since"><div><${At} at=${row.since} />${row.by && html` <small>by ${row.by}</small>`}</div></td>
    <td data-label="Commit"><${Commit} row=${row} /></td>
  </tr>`;
  return html`<table id="running" class="cards five">
    <thead><tr>${['Service', 'Image', 'Version', 'Since', 'Commit'].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(row)}</tbody>
  </table>`;
}

/** Pairs what runs in two environments: of a repository first what has one namespace, then the others in order. */
function pairs(walks) {
  const under = (row) => foundUnder(row.repository);
  const names = [...new Set(walks.flatMap(({ rows }) => rows.map(under)))].sort();
  return names.flatMap((name) => {
    const [left, right] = walks.map(({ rows }) => rows.filter((row) => under(row) === name));
    const taken = (index) => (index < 0 ? undefined : right.splice(index, 1)[0]);
    const same = left.map((row) => taken(right.findIndex(({ namespace }) => namespace === row.namespace)));
    const paired = left.map((row, index) => [row, same[index] ?? right.shift()]);
    return [...paired, ...right.map((row) => [undefined, row])];
  });
}

function SideBySide({ walks }) {
  const isOver = walks.map(({ next }) => !next);
  const told = pairs(walks).map((pair) => {
    // A side that is still walked may have it further on.
    const isKnown = pair.every((row, side) => row || isOver[side]);
    return { pair, any: pair[0] ?? pair[1], differs: isKnown && !isSame(...pair) };
  });
  const differing = told.filter(({ differs }) => differs).length;
  const cell = (row, side) => html`<td data-label=${line(walks[side].envName)}>
    ${
      row
        ? html`<div><${ImageLink} image=${row.image} /></div>
          <small><${Version} row=${row} /> · <${Time} at=${row.since} /> · <${Commit} row=${row} />
            ${row.namespace && ` · ${line(row.namespace)}`}</small>`
        : html`<span class="none">${isOver[side] ? 'does not run here' : '…'}</span>`
    }
  </td>`;
  const row = ({ pair, any, differs }) => html`<tr
    key=${`${any.repository} ${pair.map((row) => row?.namespace)}`}
    data-repository=${any.repository}
    data-differs=${differs || undefined}
  >
    <th scope="row">${any.service}${differs && html` <span class="mark">differs</span>`}</th>
    ${pair.map(cell)}
  </tr>`;
  return html`<p class="note">${isOver.every(Boolean) && `${differing} of ${told.length} differ.`}</p>
    <table id="running" class="cards two">
      <thead><tr>
        <th scope="col">Service</th>
        ${walks.map(({ envName }) => html`<th scope="col"><${View} to=${{ view: 'environment', envName }}>${line(envName)}<//></th>`)}
      </tr></thead>
      <tbody>${told.map(row)}</tbody>
    </table>`;
}

// Two releases compared: services, images, the commits of their builds, labels and manifests.

import { compare, hunks } from './comparison.js';
import { CommitLine, Folded, ImageLink, View, When, html, releaseAddress } from './parts.js';
import { MANIFEST_LINES, askRelease } from './release.js';
import { workflowOf } from './releases.js';
import { line, lines } from './text.js';

/** The view of two releases, each of which the address names as `ID@CREATED_AT`. */
export function diff(parameters, page) {
  const [from, to] = ['from', 'to'].map((name) => parameters.get(name) ?? '');
  const asked = (named) => askRelease(page, named.replace(/@[^@]*$/, ''), named.split('@').at(-1));
  let pair, comparison;
  const load = async () => {
    const next = await Promise.all([from, to].map(asked));
    if (pair && next.every((release, side) => release === pair[side])) return;
    pair = next;
    comparison = compare(...pair);
  };
  return {
    heading() {
      if (!pair) return 'Two releases';
      const [one, other] = pair.map(({ versionInfo }) => versionInfo);
      const project = one.productName === other.productName ? '' : `${line(other.productName)} `;
      return `${line(one.productName)} ${line(one.version)} → ${project}${line(other.version)}`;
    },
    load,
    poll: load,
    draw: () =>
      pair
      && html`<${Comparison} versions=${pair.map(({ versionInfo }) => versionInfo)} of=${comparison} />
        <p class="actions"><${View} class="button" to=${{ view: 'diff', from: to, to: from }}>The other way round<//></p>`,
  };
}

const environmentOf = ({ productEnvInfo: env }) =>
  [line(env?.env_name), line(env?.namespace) && `(${line(env.namespace)})`].filter(Boolean).join(' ');

/** What is told of both, and marked where it is not the same. */
const TOLD = {
  Time: (version) => html`<${When} at=${version.created_at} />`,
  By: (version) => line(version.createdBy),
  Workflow: workflowOf,
  Environment: environmentOf,
};

function Comparison({ versions, of: { withEnvironment, services, images, builds, labels, yaml } }) {
  const [from, to] = versions;
  const differs = (name) => name !== 'Time' && TOLD[name](from) !== TOLD[name](to);
  const row = ([name, told]) => html`<tr data-differs=${differs(name) || undefined}>
    <th scope="row">${name}</th>
    ${versions.map((version) => html`<td data-label=${line(version.version)}><div>${told(version) || 'none'}</div></td>`)}
  </tr>`;
  const column = (version) =>
    html`<th scope="col"><${View} to=${releaseAddress(version)}>${line(version.version) || line(version.id)}<//></th>`;
  const parts = [services.removed, services.added, images, builds, labels.removed, labels.added, yaml];
  const isSame = !parts.some(({ length }) => length) && !differs('Environment');
  const service = ({ service: name, images: all }) =>
    html`<b>${line(name)}</b>${all.map((image) => html` <${ImageLink} image=${image} />`)}`;
  const image = (change) => [
    change.service === change.container ? change.service : `${change.service}/${change.container}`,
    change.from ? [html`<${Held} of=${change.from} />`] : [],
    change.to ? [html`<${Held} of=${change.to} />`] : [],
  ];
  const built = (commits, version) =>
    commits.length
      ? commits.map((commit) => html`<${CommitLine} commit=${commit} />`)
      : [`not built in ${line(version.version)}`];
  const build = (change) => [change.service, built(change.from, from), built(change.to, to)];
  return html`
    <table class="cards two">
      <thead><tr><td></td>${versions.map(column)}</tr></thead>
      <tbody>${Object.entries(TOLD).map(row)}</tbody>
    </table>
    ${!withEnvironment && html`<p class="note">Compared is what they deployed: one of them does not tell the environment’s services.</p>`}
    ${isSame && html`<p class="none">Nothing else differs.</p>`}
    <${Changes} title="Services" of=${[['', services.removed.map(service), services.added.map(service)]]} />
    <${Changes} title="Images" of=${images.map(image)} />
    <${Changes} title="Commits" of=${builds.map(build)} />
    <${Changes} title="Labels" of=${[['', labels.removed.map(line), labels.added.map(line)]]} />
    ${yaml.length > 0 && html`<h2>Manifests</h2>`}
    ${yaml.map((change) => html`<${Manifest} ...${change} />`)}`;
}

/** What went and what came, under the name of what it is about. */
function Changes({ title, of }) {
  const told = of.filter(([, gone, come]) => gone.length + come.length);
  const item = (kind) => (shown) => html`<li class=${kind}>${shown}</li>`;
  return (
    told.length > 0
    && html`<h2>${title}</h2>
      ${told.map(
        ([name, gone, come]) => html`${name && html`<h3>${line(name)}</h3>`}
          <ul class="changes">${gone.map(item('gone'))}${come.map(item('come'))}</ul>`,
      )}`
  );
}

function Held({ of: { image, digest } }) {
  const isTold = !digest || image.includes('@');
  return html`<${ImageLink} image=${image} />${!isTold && html` <small><code>${line(digest).slice(0, 19)}</code></small>`}`;
}

function Manifest({ service, from, to, onlyDiffers, diff: entries }) {
  const count = (sign) => entries.filter(([is]) => is === sign).length;
  const only = onlyDiffers ? `, of which only the ${onlyDiffers} differ` : '';
  const how = entries ? `+${count('+')} −${count('-')} lines${only}` : 'too far apart to be compared by lines';
  const kinds = { '-': 'gone', '+': 'come' };
  const row = (entry) =>
    entry
      ? html`<span class=${kinds[entry[0]]}>${`${entry[0]}${lines(entry[1])}\n`}</span>`
      : html`<span class="skipped">${'⋯\n'}</span>`;
  const region = (label, shown) =>
    html`<pre class="diff" tabindex="0" role="region" aria-label=${`${label}: ${line(service)}`}>${shown}</pre>`;
  const whole = (yaml) => lines(yaml.split('\n').slice(0, MANIFEST_LINES).join('\n'));
  const shown = () =>
    entries
      ? region('What differs', hunks(entries).map(row))
      : html`<h4>Before</h4>${region('Before', whole(from))}<h4>After</h4>${region('After', whole(to))}`;
  return html`<${Folded} title=${`${line(service)}: ${how}`}>${shown}<//>`;
}

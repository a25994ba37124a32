// One release, opened: what it deployed, from which commits, and the manifests.

import { Refused } from './ask.js';
import { CommitLine, Facts, Folded, ImageLink, Long, View, When, html, pullRequests, repositoryOf } from './parts.js';
import { named, workflowOf } from './releases.js';
import { address, apiTime, firstLine, line, lines, list, text } from './text.js';

/** Lines of a manifest that are shown at once. */
export const MANIFEST_LINES = 2000;

/** Asks for a release by its id and the second in which it was made, which leads to it at any length of the history. */
export async function askRelease(page, id, at) {
  if (!id || !/^\d+$/.test(at)) throw new Refused(0, 'The address does not tell the release: it lacks its id or time.');
  let query = new URLSearchParams({ since: apiTime(at), until: apiTime(Number(at) + 1) });
  while (query) {
    const { json, next } = await page.ask('releases', query);
    const found = list(json).find(({ versionInfo }) => versionInfo.id === id);
    if (found) return found;
    query = next && new URLSearchParams(next);
  }
  throw new Refused(404, `There is no release ${line(id)} of that time; it may have been deleted.`);
}

/** A deploy's service, without the container that an answer writes behind it. */
export function serviceOf({ serviceName, containerName }) {
  const [shown, container] = [text(serviceName), text(containerName)];
  return container && shown.endsWith(`/${container}`) ? shown.slice(0, -container.length - 1) : shown;
}

/** What tells two commits of builds apart, as in the terminal. */
export const identityOf = (commit) => {
  const { branch, tag, commit_id: id, commit_message: message, author_name: author } = commit;
  return JSON.stringify([repositoryOf(commit), branch || tag, id, pullRequests(commit), firstLine(message), author]);
};

/** What each service of a release was built from, each commit once. */
export function commitsOf(builds) {
  const services = new Map();
  for (const { serviceName, commits } of list(builds)) {
    const told = services.get(text(serviceName)) ?? new Map();
    for (const commit of list(commits)) if (commit.commit_id) told.set(identityOf(commit), commit);
    services.set(text(serviceName), told);
  }
  return new Map([...services].map(([service, told]) => [service, [...told.values()]]));
}

/** The manifests of a service, each text once, since they are kept with each of its containers. */
export function manifestOf(service, deploys) {
  const texts = deploys
    .filter((deploy) => serviceOf(deploy) === service)
    .flatMap((deploy) => list(deploy.yamlContents));
  const joined = (all, one) => all + (all && !all.endsWith('\n') ? '\n' : '') + one;
  return [...new Set(texts.map(text))].reduce(joined, '');
}

/** The view of a release. */
export function release(parameters, page) {
  let found;
  const load = async () => {
    found = await askRelease(page, parameters.get('id'), parameters.get('at') ?? '');
  };
  /** The release of the same project and environment before this one, and how the two differ. */
  const compare = async () => {
    const { id, productName: projectName, productEnvInfo, created_at: at } = found.versionInfo;
    const envName = text(productEnvInfo?.env_name);
    const isBefore = ({ versionInfo: other }) =>
      text(other.productEnvInfo?.env_name) === envName
      && (other.created_at < at || (other.created_at === at && other.id < id));
    const until = apiTime(at + 1);
    let query = { projectName, ...(envName && { envName }), until, verbosity: 'brief', page: 1, per_page: 20 };
    try {
      while (query) {
        const { json, next } = await page.ask('releases', new URLSearchParams(query));
        const before = list(json).find(isBefore);
        if (before) return page.go(address({ view: 'diff', from: named(before.versionInfo), to: named(found.versionInfo) }));
        query = next;
      }
      page.say('It is the first release of its project there.');
    } catch (error) {
      if (error instanceof Refused) page.say(error.message);
    }
  };
  const nameOf = ({ productName, version }) => `${line(productName)} ${line(version)}`;
  return {
    heading: () => (found ? nameOf(found.versionInfo) : `Release ${line(parameters.get('id'))}`),
    load,
    poll: load,
    draw: () => found && html`<${Release} release=${found} compare=${compare} />`,
  };
}

function Release({ release: { versionInfo, buildInfo, deployInfo, distributeInfo }, compare }) {
  const { productName: projectName, productEnvInfo: env, createdBy, created_at: at, desc } = versionInfo;
  const [deploys, commits] = [list(deployInfo), commitsOf(buildInfo)];
  const services = [...new Set(deploys.map(serviceOf))];
  const unbuilt = list(buildInfo).filter(({ serviceName }) => !services.includes(text(serviceName)));
  const deployed = (shown) => html`<table class="cards">
    <thead><tr><th scope="col">Service</th><th scope="col">Image</th><th scope="col">Commit</th></tr></thead>
    <tbody>${shown.map(
      (deploy) => html`<tr>
        <th scope="row">${line(deploy.serviceName)}</th>
        <td data-label="Image"><${ImageLink} image=${deploy.image} /></td>
        <td data-label="Commit"><div><${BuiltFrom} commits=${commits.get(serviceOf(deploy))} /></div></td>
      </tr>`,
    )}</tbody>
  </table>`;
  const built = ({ serviceName, imageName }) => html`<li>
    ${line(serviceName)}: <${ImageLink} image=${imageName} /><${BuiltFrom} commits=${commits.get(text(serviceName))} />
  </li>`;
  return html`
    <p class="lead">Made ${html`<${When} at=${at} />`}${line(createdBy) && ` by ${line(createdBy)}`}${
      line(desc) && html`: <q>${line(desc)}</q>`
    }</p>
    <p class="actions">
      <button type="button" onClick=${compare}>Compare with the one before</button>
      <${View} class="button" to=${{ view: 'releases', projectName }}>All releases of ${line(projectName)}<//>
    </p>
    <${Facts} of=${facts(versionInfo)} />
    <h2>Deployed</h2>
    ${deploys.length ? html`<${Long} items=${deploys} first=${100} what="services">${deployed}<//>` : html`<p class="none">It deployed nothing.</p>`}
    <${Beside} services=${list(env?.services).flat()} deploys=${deploys} />
    ${unbuilt.length > 0 && html`<h2>Built, and not deployed</h2><ul>${unbuilt.map(built)}</ul>`}
    ${list(distributeInfo).length > 0 && html`<h2>Distributed</h2><ul>${list(distributeInfo).map(distribution)}</ul>`}
    <h2>Manifests</h2>
    ${services.map((service) => html`<${Manifest} key=${service} service=${service} yaml=${manifestOf(service, deploys)} />`)}
    ${!deploys.some(({ yamlContents }) => list(yamlContents).length) && html`<p class="none">None is recorded.</p>`}`;
}

function facts(versionInfo) {
  const { productEnvInfo: env, labels } = versionInfo;
  const envName = text(env?.env_name);
  const namespace = line(env?.namespace) && ` (${line(env.namespace)})`;
  const label = (label) => html`<${View} class="label" to=${{ view: 'releases', label }}>${line(label)}<//> `;
  return [
    [
      'Environment',
      envName
        ? html`<${View} to=${{ view: 'environment', envName }}>${line(envName)}<//>${namespace}`
        : 'Not recorded.',
    ],
    ['Workflow', workflowOf(versionInfo) || 'None: it was made by hand.'],
    ['Labels', list(labels).length > 0 && list(labels).map(label)],
    ['Id', html`<code>${line(versionInfo.id)}</code>`],
  ];
}

function BuiltFrom({ commits = [] }) {
  if (!commits.length) return html`<span class="none">not built in this release</span>`;
  const told = (shown) => shown.map((commit) => html`<${CommitLine} commit=${commit} />`);
  return html`<${Long} items=${commits} first=${3} what="commits">${told}<//>`;
}

/** What the environment held then, beside what was deployed. */
function Beside({ services, deploys }) {
  const deployed = new Set(deploys.map(({ image }) => image));
  const images = services.flatMap(({ service_name: service, containers }) =>
    list(containers).map((one) => ({ service, ...one })),
  );
  const beside = images.filter(({ image }) => !deployed.has(image));
  if (!beside.length) return null;
  const item = ({ service, name, image }) =>
    html`<li>${line(service)}/${line(name)}: <${ImageLink} image=${image} /></li>`;
  return html`<${Folded} title=${`In the environment beside it: ${beside.length}`}>${() => html`<ul>${beside.map(item)}</ul>`}<//>`;
}

function distribution(sent) {
  const chart = line(sent.chartName) && `chart ${line(sent.chartName)} ${line(sent.chartVersion)}`;
  const file = line(sent.packageFile) || line(sent.remoteFileKey);
  // The images of a chart name it, too.
  const isImage = Boolean(line(sent.registryName)) || !(chart || file);
  const to = isImage ? line(sent.namespace) : line(sent.chartRepoName) || line(sent.destStorageUrl);
  const parts = list(sent.subDistributes);
  return html`<li>
    ${line(sent.serviceName) && `${line(sent.serviceName)}: `}${isImage ? html`<${ImageLink} image=${sent.registryName} />` : chart || file}
    ${to && ` to ${to}`}${parts.length > 0 && html`<ul>${parts.map(distribution)}</ul>`}
  </li>`;
}

function Manifest({ service, yaml }) {
  if (!yaml) return null;
  const all = yaml.replace(/\n$/, '').split('\n');
  const shown = (some) =>
    html`<pre tabindex="0" role="region" aria-label=${`Manifests of ${line(service)}`}>${lines(some.join('\n'))}</pre>`;
  return html`<${Folded} title=${`${line(service)}, ${all.length} line${all.length > 1 ? 's' : ''}`}>
    ${() => html`<${Long} items=${all} first=${MANIFEST_LINES} what="lines">${shown}<//>`}
  <//>`;
}

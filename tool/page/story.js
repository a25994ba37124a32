// An image's story: one sentence on top, where it comes from, and what happened to it.

import {
  At,
  Away,
  CommitLine,
  CommitLink,
  Copied,
  Facts,
  ImageLink,
  ImageName,
  Long,
  PullRequestLinks,
  View,
  When,
  deployedBy,
  html,
  placeOf,
  pullRequests,
  repositoryOf,
} from './parts.js';
import { duration, firstLine, foundUnder, lastDeployEntry, line, list, number, repository, size, text } from './text.js';

/** How many environments the sentence tells, each of which may cost a request; as in the terminal. */
const ENVIRONMENTS = 10;
const ACTIVITIES = 100;
const COMMITS = 10;

/** Asks for an artifact, and for what took its place where something did. */
export async function askStory(page, query) {
  const { json: artifact, next } = await page.ask('artifact', { ...query, include: 'environments' });
  const told = list(artifact.environments).slice(0, ENVIRONMENTS);
  const successors = await Promise.all(told.map((there) => askSuccessor(page, artifact, there)));
  return { artifact, successors, next };
}

/** What runs in an environment instead of an artifact; undefined where that is not known, or nothing does. */
async function askSuccessor(page, artifact, { env_name: envName, namespace = '', running, until }) {
  const image = repository(text(artifact.image));
  if (running || until || !image) return undefined;
  // Deploys that named no namespace cannot be asked for alone. In the walk through everything that runs there, theirs
  // is the first of the repository, and this place is right before it: `"` comes before `#`.
  const before = lastDeployEntry(image, '').replace('#', '"#');
  const whose = namespace ? { image, namespace } : { after: before };
  try {
    const { json } = await page.ask('artifact', { envName, ...whose, include: 'environments' });
    if (foundUnder(repository(text(json.image))) !== foundUnder(image)) return undefined;
    const isThere = (there) => there.running && there.env_name === envName && (there.namespace ?? '') === namespace;
    const there = list(json.environments).find(isThere);
    return there && json.id !== artifact.id ? { image: json.image, since: there.since } : undefined;
  } catch (error) {
    // It was undeployed meanwhile.
    if (error.status === 404) return undefined;
    throw error;
  }
}

/** The story of an artifact, with its image where something else was asked for. */
export function Story({ story: { artifact, successors }, asked, page }) {
  const activities = list(artifact.activities);
  const timeline = (shown) => html`<ol id="timeline">
    ${shown.map((activity, index) => html`<${Activity} key=${activities.length - index} activity=${activity} />`)}
  </ol>`;
  const image = line(artifact.image);
  return html`
    ${image && image !== asked && html`<p class="found"><${ImageName} image=${image} /></p>`}
    <${Summary} artifact=${artifact} successors=${successors} activities=${activities} />
    <h2>Where it comes from</h2>
    <${Facts} of=${origin(artifact, activities, page)} />
    <h2>What happened to it</h2>
    ${
      activities.length
        ? html`<${Long} key=${artifact.id} items=${activities} first=${ACTIVITIES} what="activities">${timeline}<//>`
        : html`<p class="none">Nothing is recorded: no build, no test and no deploy.</p>`
    }`;
}

/* The sentence on top */

function Summary({ artifact, successors, activities }) {
  const environments = list(artifact.environments);
  const clauses = successors.map((successor, index) => whereItIs(environments[index], successor, activities));
  const more = environments.length - clauses.length;
  if (more > 0) clauses.push(`was deployed to ${more} more`);
  if (!clauses.length) clauses.push('was never deployed, as far as is recorded');
  clauses.push(whatItIsOf(activities.find(({ type }) => type === 'build')));
  const joined = clauses.map((clause, index) => {
    const isLast = index === clauses.length - 1;
    return html`${index > 0 && (isLast ? '; and ' : '; ')}${clause}`;
  });
  return html`<p id="summary"><strong>${line(artifact.name) || 'It'}</strong> ${joined}.</p>`;
}

function whereItIs(there, successor, activities) {
  const { env_name: envName, namespace = '', since, running, until } = there;
  const where = html`<${View} to=${{ view: 'environment', envName }}><b>${line(envName)}</b><//>${
    namespace && ` (${line(namespace)})`
  }`;
  const by = deployedBy(activities, there);
  const deployed = html`<${When} at=${since} />`;
  if (running) return html`<span class="runs">runs in</span> ${where} since ${deployed}${by && `, deployed by ${by}`}`;
  if (until) return html`was undeployed from ${where} on <${When} at=${until} />`;
  if (!successor) return html`was deployed to ${where} on ${deployed}, and replaced since`;
  const other = html`<${ImageLink} image=${successor.image} /> runs there since <${When} at=${successor.since} />`;
  return html`was replaced in ${where}: ${other}`;
}

function whatItIsOf(build) {
  if (!build) return 'its build is not recorded';
  const [commit] = list(build.commits);
  const from = commit ? html`<${CommitLink} commit=${commit} digits=${7} />` : 'a commit that is not recorded';
  const run = /\/(\d+)\/?(?:[?#].*)?$/.exec(line(build.url))?.[1];
  const by = html` by <${Away} to=${build.url}>${run ? `run ${run}` : 'a pipeline'}<//>`;
  return html`was built from ${from}${line(build.url) && by}`;
}

/* Where it comes from */

function origin(artifact, activities, page) {
  const build = activities.find(({ type }) => type === 'build');
  const tests = activities.filter(({ type }) => type === 'test');
  const commits = list(build?.commits);
  const requests = commits.filter((commit) => pullRequests(commit).length);
  const untold = build ? 'None is recorded.' : 'No build is recorded.';
  const some = (items, draw) => items.slice(0, COMMITS).map((item) => html`<div>${draw(item)}</div>`);
  const request = (commit) => html`<${PullRequestLinks} commit=${commit} /> <small>${repositoryOf(commit)}</small>`;
  const result = (test) => line(test.content) || line(test.job_task_name) || 'Tested, and no result is told';
  const test = (test) =>
    html`<${Away} to=${test.url}>${result(test)}<//> <small><${When} at=${test.created_time} /></small>`;
  const platform = [line(artifact.os), line(artifact.architecture)].filter(Boolean).join('/');
  const bytes = number(artifact.image_size) > 0 ? size(artifact.image_size) : '';
  const image = html`<${Copied} text=${artifact.image} what="the image" page=${page} />
    <${View} class="more" to=${{ view: 'releases', image: artifact.image }}>Releases that hold it<//>`;
  const digest = html`<${Copied} text=${artifact.image_digest} what="the digest" page=${page} />`;
  return [
    ['Image', line(artifact.image) && image],
    ['Digest', line(artifact.image_digest) ? digest : 'Not recorded.'],
    ['Package', [line(artifact.package_storage_uri), line(artifact.package_file_location)].filter(Boolean).join(' ')],
    ['Commit', commits.length ? html`<${Commits} commits=${commits} page=${page} />` : untold],
    ['Pull request', requests.length ? some(requests, request) : untold],
    ['Pipeline', line(build?.url) ? html`<${Away} to=${build.url} />` : untold],
    ['Tests', tests.length ? some(tests, test) : 'None is recorded.'],
    [
      'Made',
      html`<${When} at=${artifact.created_time} />${line(artifact.created_by) && ` by ${line(artifact.created_by)}`}`,
    ],
    ['Size', [bytes, platform].filter(Boolean).join(', ')],
    ['Id', html`<code>${line(artifact.id)}</code>`],
  ];
}

/** The built commit whole, and the others that the build contains. */
function Commits({ commits: [built, ...others], page }) {
  const list = (shown) =>
    html`<ul class="commits">${shown.map((commit) => html`<li><${CommitLine} commit=${commit} /></li>`)}</ul>`;
  return html`
    <${Copied} text=${built.commit_id} what="the commit" page=${page}><${CommitLink} commit=${built} digits=${64} /><//>
    <div>${firstLine(built.commit_message)}</div>
    <small>${[line(built.author_name), placeOf(built)].filter(Boolean).join(', ')}</small>
    ${others.length > 0 && html`<${Long} items=${others} first=${COMMITS - 1} what="others">${list}<//>`}`;
}

/* What happened to it */

/** What each type of activity is called, and the word before its environment. */
const DONE = new Map([
  ['build', ['Built', 'in']],
  ['test', ['Tested', 'in']],
  ['deploy', ['Deployed', 'to']],
  ['undeploy', ['Undeployed', 'from']],
  ['publish', ['Published', 'to']],
  ['distribute', ['Distributed', 'to']],
]);

function Activity({ activity }) {
  const { type, env_name: envName, start_time: start, end_time: end } = activity;
  const [done, to] = DONE.get(type) ?? [line(type) || 'Something', 'in'];
  const where = line(envName) && html` ${to} <${View} to=${{ view: 'environment', envName }}>${line(envName)}<//>`;
  const namespace = line(activity.namespace) && ` (${line(activity.namespace)})`;
  const took = number(start) > 0 && number(end) > start && `, in ${duration(end - start)}`;
  const hosts = list(activity.publish_hosts).map(line);
  const places = [...hosts, line(activity.dist_storage_url), line(activity.remote_file_key)].filter(Boolean);
  const told = {
    '': line(activity.content),
    Job: line(activity.job_task_name),
    To: places.join(', '),
    Namespace: list(activity.publish_namespaces).map(line).join(', '),
    From: line(activity.src_storage_url),
  };
  const commits = (shown) => shown.map((commit) => html`<${CommitLine} commit=${commit} />`);
  const issue = (issue, index) =>
    html`${index ? ',' : ''} <${Away} to=${issue.url}>${line(issue) || line(issue.key) || line(issue.url)}<//>`;
  return html`<li data-type=${line(type)}>
    <div class="what">
      <b>${done}</b>${where}${namespace}${line(activity.created_by) && ` by ${line(activity.created_by)}`}${took}
    </div>
    <div class="at"><${At} at=${activity.created_time} /></div>
    ${Object.entries(told).map(([name, words]) => words && html`<div>${name} ${words}</div>`)}
    ${
      list(activity.commits).length > 0
      && html`<div><${Long} items=${list(activity.commits)} first=${COMMITS} what="commits">${commits}<//></div>`
    }
    ${list(activity.issues).length > 0 && html`<div>Issues${list(activity.issues).map(issue)}</div>`}
    ${line(activity.url) && html`<div class="pipeline"><${Away} to=${activity.url} /></div>`}
  </li>`;
}

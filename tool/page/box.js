// The box, and what the page begins with: a text is read, asked for, and shown as an image's story or as releases.

import { EnvironmentLinks } from './environment.js';
import { ImageName, View, html } from './parts.js';
import { TAKES, read } from './read.js';
import { ReleaseItems, releaseList } from './releases.js';
import { Story, askStory } from './story.js';
import { line } from './text.js';

/** The page's beginning: the newest releases, and the environments that they name. */
export function start(parameters, page) {
  const newest = releaseList(page, {});
  return {
    heading: () => 'What went out, and what runs where',
    load: newest.load,
    poll: newest.poll,
    draw: () => html`
      <p class="lead">${TAKES}</p>
      <${EnvironmentLinks} releases=${newest.releases()} />
      <h2>Newest releases</h2>
      <${ReleaseItems} list=${newest} page=${page} />`,
  };
}

/** A text of the box. */
export function find(parameters, page) {
  const [q, after] = ['q', 'after'].map((name) => parameters.get(name) ?? '');
  const { readings, why } = read(q);
  /** Which reading found what, and what the ones before it were answered. */
  let found = { misses: [] };

  const load = async () => {
    const misses = [];
    for (const reading of readings) {
      const answer = await asked(reading);
      if (!answer.miss) {
        found = { misses, reading, ...answer };
        return;
      }
      misses.push({ reading, words: answer.miss });
    }
    found = { misses, isNothing: true };
  };

  async function asked(reading) {
    const { artifact, releases } = reading;
    if (releases) {
      // What somebody opened and chose in a list stays when it is asked for again.
      const isShown = found.reading === reading;
      const held = isShown ? found.releases : releaseList(page, releases);
      await (isShown ? held.poll() : held.load());
      const miss = releases.image ? 'no release holds it' : 'no release has it';
      return held.releases().length || held.hasMore() ? { releases: held } : { miss };
    }
    try {
      return { story: await askStory(page, { ...artifact, ...(after && { after }) }) };
    } catch (error) {
      if (error.status !== 404) throw error;
      return { miss: error.message };
    }
  }

  const draw = () => {
    const { reading = readings[0], story, releases, misses, isNothing } = found;
    const others = misses.map(({ words }) => `; ${line(words)}`).join('');
    const older = story?.next && { q, after: new URLSearchParams(story.next).get('after') };
    return html`
      <p id="read-as" role="status">${why ?? `Read as ${reading.as}${isNothing ? '' : others}.`}</p>
      ${after && html`<p class="note">This is an older build. <${View} to=${{ q }}>The newest one<//></p>`}
      ${story && html`<${Story} story=${story} asked=${line(q)} page=${page} />`}
      ${older && html`<p class="actions"><${View} id="older" class="button" to=${older}>An older build of the same<//></p>`}
      ${releases && html`<${ReleaseItems} list=${releases} page=${page} />`}
      ${(isNothing || why) && html`<${Nothing} misses=${misses} />`}`;
  };

  return {
    // It stays what was asked, so that nothing moves when the answer comes.
    heading: () => ({ title: line(q), node: html`<${ImageName} image=${line(q)} />` }),
    load,
    poll: load,
    draw,
  };
}

function Nothing({ misses }) {
  const image = misses.map(({ reading }) => reading.artifact?.image).find(Boolean) ?? '';
  const [host, ...path] = image.split('/');
  const lacksRegistry = image && !/^sha(256|512):/.test(image) && !(path.length && /[.:]|^localhost$/.test(host));
  return html`<div class="none">
    ${misses.length > 0 && html`<p><strong>Nothing is recorded under this.</strong></p>`}
    <ul>${misses.map(({ reading, words }) => html`<li>As ${reading.as}: ${line(words)}.</li>`)}</ul>
    ${lacksRegistry && html`<p>Give the image with its registry, as in registry.example.com/${line(image)}.</p>`}
    <p>${TAKES}</p>
  </div>`;
}

// Reads what somebody put into the box: which question of the API it is, and in which words that is said.

import { repository } from './text.js';

/** What the box takes, for whoever is to be told. */
export const TAKES =
  'The box takes an image with its registry (registry.example.com/shop/cart:1.4.0), a digest, an imageID of '
  + 'Kubernetes, a commit’s id from 7 digits on, owner/repo#736, owner/repo@4b15c43, the address of a commit or a pull '
  + 'request, or a version.';

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/i;
const SCHEME = /^(docker-pullable|docker|oci):\/\//;
const PULL_REQUEST_PATHS = ['pull', 'pulls', 'merge_requests', 'pull-requests'];
const COMMIT_PATHS = ['commit', 'commits'];

/**
 * The readings of a text, the likeliest first: each says what the text is read `as`, and what to ask, which is
 * `artifact` or `releases` with their parameters. Where there is none, `why` says what is missing.
 */
export function read(given) {
  const quoted = given.trim().replace(/^-?\s*image(id)?:\s+/i, '');
  const text = quoted.replace(/^["'`]+|["'`,;]+$/g, '').trim();
  if (/^https?:\/\//i.test(text)) return readAddress(text);
  const reference = /^([^\s@:#!]+\/[^\s@:#!]+)[#!](\d+)$/.exec(text);
  if (reference) return { readings: [pullRequest(reference[1], reference[2])] };
  if (/^[#!]\d+$/.test(text)) {
    return { readings: [], why: `A pull request is found with its repository: owner/repo${text}.` };
  }
  const inRepository = /^([^\s@:]+\/[^\s@:]+)@([0-9a-f]{7,64})$/i.exec(text);
  if (inRepository) {
    const [, repo, commit] = inRepository;
    return { readings: [{ as: `a commit of ${repo}`, artifact: { commit: commit.toLowerCase(), repo } }] };
  }
  return { readings: readName(text.replace(SCHEME, ''), SCHEME.test(text)) };
}

function readName(text, hasScheme) {
  const version = { as: 'a release’s version', releases: { version: text } };
  if (DIGEST.test(text)) return image('an image’s digest', text.toLowerCase());
  const [, name, digest] = /^([^@\s]+)@([^@\s]+)$/.exec(text) ?? [];
  if (digest) {
    const where = hasScheme ? 'the image’s digest inside a Kubernetes imageID' : 'an image by its digest';
    const tag = repository(name) === name ? '' : ' (the tag before it does not count)';
    return image(where + tag, `${name}@${DIGEST.test(digest) ? digest.toLowerCase() : digest}`);
  }
  if (/^[0-9a-f]{7,64}$/i.test(text)) {
    const commit = text.toLowerCase();
    const as = text.length < 40 ? 'the beginning of a commit’s id' : 'a commit’s id';
    const other = text.length === 64 ? image('an image’s digest', `sha256:${commit}`).slice(0, 1) : [version];
    return [{ as, artifact: { commit } }, ...other];
  }
  if (!/\s/.test(text) && /[/:]/.test(text)) {
    if (repository(text) !== text) return image('an image with its tag', text);
    return [{ as: 'an image without a tag', artifact: { image: text } }, version];
  }
  return [version];
}

/** An image that no artifact is may still be held by releases, as one that others built is. */
function image(as, reference) {
  return [
    { as, artifact: { image: reference } },
    { as: 'an image that releases hold', releases: { image: reference } },
  ];
}

function pullRequest(repo, number) {
  return { as: `pull request ${number} of ${repo}`, artifact: { pr: number, repo } };
}

function readAddress(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return { readings: [], why: 'This address cannot be read.' };
  }
  const parts = url.pathname.split('/').filter((part) => part && part !== '-');
  const place = (names) => parts.findIndex((part, index) => index >= 2 && names.includes(part));
  const commitPlace = place(COMMIT_PATHS);
  const commit = commitPlace < 0 ? '' : (parts[commitPlace + 1] ?? '').replace(/\.(diff|patch)$/, '');
  if (/^[0-9a-f]{7,64}$/i.test(commit)) {
    return { readings: [{ as: 'a commit’s address', artifact: { commit: commit.toLowerCase() } }] };
  }
  const requestPlace = place(PULL_REQUEST_PATHS);
  const number = requestPlace < 0 ? '' : parts[requestPlace + 1];
  if (/^\d+$/.test(number)) {
    const reading = pullRequest(parts.slice(0, requestPlace).join('/'), number);
    return { readings: [{ ...reading, as: `the address of ${reading.as}` }] };
  }
  const reference = text.replace(/^https?:\/\//i, '');
  if (repository(reference) !== reference && reference.includes('/')) return { readings: readName(reference, false) };
  return { readings: [], why: 'This address is neither a commit’s nor a pull request’s.' };
}

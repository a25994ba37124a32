// What differs between two releases, as `delivery-center diff` tells it; and between two texts, line by line.

import { commitsOf, identityOf, manifestOf, serviceOf } from './release.js';
import { foundUnder, list, repository, text } from './text.js';

/** Edits after which a comparison by lines is given up: it would take seconds, and nobody reads it. */
const MAX_EDITS = 1000;

/** What differs between two releases. */
export function compare(...pair) {
  const services = ({ versionInfo }) => list(versionInfo.productEnvInfo?.services).flat();
  // If one does not tell the environment's services, only what both deployed can be compared.
  const withEnvironment = pair.every((release) => services(release).length > 0);
  const [before, after] = pair.map((release) => held(release, withEnvironment ? services(release) : []));
  const labels = pair.map(({ versionInfo }) => [...new Set(list(versionInfo.labels))]);
  const without = (some, others) => some.filter((one) => !others.includes(one));
  return {
    withEnvironment,
    services: { added: onlyIn(after, before), removed: onlyIn(before, after) },
    images: imageChanges(before, after),
    builds: buildChanges(...pair.map(({ buildInfo }) => commitsOf(buildInfo))),
    labels: { added: without(labels[1], labels[0]), removed: without(labels[0], labels[1]) },
    yaml: yamlChanges(...pair.map(({ deployInfo }) => list(deployInfo))),
  };
}

const sorted = (keys) => [...new Set(keys)].sort();

/** A release's images by service and container: what it deployed, and what the environment had beside that. */
function held({ buildInfo, deployInfo }, beside) {
  const digests = new Map();
  for (const { imageName, imageInfo } of list(buildInfo)) {
    if (imageInfo?.imageDigest) digests.set(foundUnder(text(imageName)), imageInfo.imageDigest);
  }
  const heldImage = (image) => ({ image, digest: image.split('@')[1] ?? digests.get(foundUnder(image)) ?? '' });
  const services = new Map();
  const of = (service) => services.get(service) ?? services.set(service, new Map()).get(service);
  for (const deploy of list(deployInfo)) {
    const image = text(deploy.image);
    of(serviceOf(deploy)).set(text(deploy.containerName) || repository(image).split('/').at(-1), heldImage(image));
  }
  for (const { service_name: service, containers } of beside) {
    const images = of(text(service));
    for (const container of list(containers)) {
      const [name, image] = [text(container.name), text(container.image)];
      // A deploy without a container's name is known by its image.
      const isKnown = [...images.values()].some((other) => foundUnder(other.image) === foundUnder(image));
      if (!isKnown && !images.has(name)) images.set(name, heldImage(image));
    }
  }
  return services;
}

const onlyIn = (one, other) =>
  sorted(one.keys())
    .filter((service) => !other.has(service))
    .map((service) => ({ service, images: [...one.get(service).values()].map(({ image }) => image) }));

function imageChanges(before, after) {
  const both = sorted(before.keys()).filter((service) => after.has(service));
  const changes = both.flatMap((service) => {
    const [from, to] = [before.get(service), after.get(service)];
    const containers = sorted([...from.keys(), ...to.keys()]);
    return containers.map((container) => ({ service, container, from: from.get(container), to: to.get(container) }));
  });
  return changes.filter(({ from, to }) => !isSame(from, to));
}

/** Whether two images are the same to a container engine. A digest that only one of them tells is no difference. */
export function isSame(from, to) {
  if (!from || !to || foundUnder(from.image) !== foundUnder(to.image)) return false;
  return from.digest === to.digest || !from.digest || !to.digest;
}

function buildChanges(before, after) {
  const services = sorted([...before.keys(), ...after.keys()]);
  const changes = services.map((service) => ({
    service,
    from: before.get(service) ?? [],
    to: after.get(service) ?? [],
  }));
  const key = (commits) => commits.map(identityOf).sort().join('\n');
  return changes.filter(({ from, to }) => key(from) !== key(to));
}

/** The services whose manifests differ, and how, where they are not too far apart. */
function yamlChanges(before, after) {
  const services = sorted(before.map(serviceOf));
  const changes = services.map((service) => ({
    service,
    from: manifestOf(service, before),
    to: manifestOf(service, after),
  }));
  return changes
    .filter(({ from, to }) => from && to && from !== to)
    .map((change) => ({
      ...change,
      onlyDiffers: onlyDiffers(change.from, change.to),
      diff: diffLines(change.from.split('\n'), change.to.split('\n')),
    }));
}

/** What alone differs where two texts look the same. */
function onlyDiffers(from, to) {
  const isSameBy = (read) => read(from) === read(to);
  if (isSameBy((yaml) => yaml.replace(/\r\n/g, '\n').replace(/\n$/, ''))) return 'line ends';
  return isSameBy((yaml) => yaml.trim().replace(/\s+/g, ' ')) ? 'white space' : undefined;
}

/**
 * The shortest way from one list of lines to another, as `[sign, line]` with a sign of ' ', '-' or '+'; undefined
 * where it has too many edits. (Myers, "An O(ND) difference algorithm and its variations", 1986.)
 */
export function diffLines(from, to) {
  let start = 0;
  while (start < from.length && start < to.length && from[start] === to[start]) start++;
  let end = 0;
  while (end < Math.min(from.length, to.length) - start && from.at(-1 - end) === to.at(-1 - end)) end++;
  const [a, b] = [from.slice(start, from.length - end), to.slice(start, to.length - end)];
  // How far each diagonal k = x - y was reached, before each edit.
  const reached = [];
  let far = new Map([[1, 0]]);
  const isDown = (k, edits) => k === -edits || (k !== edits && far.get(k - 1) < far.get(k + 1));
  for (let edits = 0, isDone = false; !isDone; edits++) {
    if (edits > MAX_EDITS) return undefined;
    reached.push(far);
    far = new Map(far);
    for (let k = -edits; k <= edits && !isDone; k += 2) {
      let x = isDown(k, edits) ? far.get(k + 1) : far.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      far.set(k, x);
      isDone = x >= a.length && x - k >= b.length;
    }
  }
  const middle = [];
  let [x, y] = [a.length, b.length];
  for (let edits = reached.length - 1; edits >= 0; edits--) {
    far = reached[edits];
    const [k, down] = [x - y, isDown(x - y, edits)];
    const beforeX = edits ? far.get(down ? k + 1 : k - 1) : 0;
    // Behind the edit the lines were the same.
    for (const editEnd = edits && !down ? beforeX + 1 : beforeX; x > editEnd; y--) middle.push([' ', a[--x]]);
    if (edits) middle.push(down ? ['+', b[--y]] : ['-', a[--x]]);
  }
  const same = (part) => part.map((one) => [' ', one]);
  return [...same(from.slice(0, start)), ...middle.reverse(), ...same(from.slice(from.length - end))];
}

/** The changed lines with three around them; undefined stands where lines are left out. */
export function hunks(entries) {
  const isNear = (at) => entries.slice(Math.max(at - 3, 0), at + 4).some(([sign]) => sign !== ' ');
  const near = entries.map((_, at) => isNear(at));
  return entries.flatMap((entry, at) => (near[at] ? [entry] : at === 0 || near[at - 1] ? [undefined] : []));
}

// How the box reads a text: what is asked, and what is asked then if nothing is found.

import assert from 'node:assert/strict';
import test from 'node:test';
import { read } from '../read.js';

const HEX = '1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e';
const DIGEST = `sha256:${HEX}`;
const COMMIT = '4b15c4307f2c6b1c2bb6d4d3ff0f0f0f0f0f0f0f';
const asked = (text) => read(text).readings.map(({ artifact, releases }) => artifact ?? { releases });
const image = (reference) => [{ image: reference }, { releases: { image: reference } }];
const version = (text) => [{ releases: { version: text } }];

for (const [text, expected] of [
  ['registry.example.com:5000/shop/cart:1.4.0', image('registry.example.com:5000/shop/cart:1.4.0')],
  ['docker-pullable://registry.example.com/shop/cart:1.4.0', image('registry.example.com/shop/cart:1.4.0')],
  [' "registry.example.com/shop/cart:1.4.0", ', image('registry.example.com/shop/cart:1.4.0')],
  ['image: registry.example.com/shop/cart:1.4.0', image('registry.example.com/shop/cart:1.4.0')],
  [`  imageID: docker-pullable://r.example.com/cart@${DIGEST}`, image(`r.example.com/cart@${DIGEST}`)],
  [`r.example.com/cart:1@${DIGEST}`, image(`r.example.com/cart:1@${DIGEST}`)],
  [`r.example.com/cart@sha256:${HEX.toUpperCase()}`, image(`r.example.com/cart@${DIGEST}`)],
  ['r.example.com/cart@sha256:12', image('r.example.com/cart@sha256:12')],
  [DIGEST, image(DIGEST)],
  [`docker://${DIGEST}`, image(DIGEST)],
  [HEX, [{ commit: HEX }, { image: DIGEST }]],
  ['nginx:1.25', image('nginx:1.25')],
  ['shop/cart', [{ image: 'shop/cart' }, ...version('shop/cart')]],
  [COMMIT, [{ commit: COMMIT }, ...version(COMMIT)]],
  ['4B15C43', [{ commit: '4b15c43' }, ...version('4B15C43')]],
  ['4b15c4', version('4b15c4')],
  ['koderover/zadig#736', [{ pr: '736', repo: 'koderover/zadig' }]],
  ['group/sub/project!12', [{ pr: '12', repo: 'group/sub/project' }]],
  ['acme-shop/shop@9d8b693', [{ commit: '9d8b693', repo: 'acme-shop/shop' }]],
  ['https://github.com/koderover/zadig/pull/736/files#diff-1', [{ pr: '736', repo: 'koderover/zadig' }]],
  ['https://gitlab.example.com/group/sub/project/-/merge_requests/12', [{ pr: '12', repo: 'group/sub/project' }]],
  [`https://github.com/koderover/zadig/commit/${COMMIT}.patch`, [{ commit: COMMIT }]],
  [`https://github.com/koderover/zadig/pull/736/commits/${COMMIT}`, [{ commit: COMMIT }]],
  [`https://gitlab.example.com/group/project/-/commit/${COMMIT.toUpperCase()}`, [{ commit: COMMIT }]],
  ['https://registry.example.com/shop/cart:1.4.0', image('registry.example.com/shop/cart:1.4.0')],
  ['1.2.1', version('1.2.1')],
  ['v2.0', version('v2.0')],
  ['Spring release', version('Spring release')],
]) {
  test(`it reads ${text}`, () => {
    assert.deepEqual(asked(text), expected);
    for (const { as } of read(text).readings) assert.ok(as);
    assert.ok(read(text).readings.length <= 2, 'it asks one or two requests');
  });
}

test('where it cannot be asked for, it says why', () => {
  for (const text of ['#736', '!12', 'https://github.com/koderover/zadig', 'https://', 'http://[']) {
    const { readings, why } = read(text);
    assert.deepEqual(readings, [], text);
    assert.match(why, /\.$/);
  }
});

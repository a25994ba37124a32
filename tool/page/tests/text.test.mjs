// Text made harmless, times as people give them, and which lines differ.

import assert from 'node:assert/strict';
import test from 'node:test';
import { diffLines, hunks } from '../comparison.js';
import { age, firstLine, foundUnder, line, lines, moment, repository, webAddress } from '../text.js';

test('what is stored can do nothing but be seen', () => {
  assert.equal(line('\u001b[31mred\u0007'), '\\u{1b}[31mred\\u{7}');
  assert.equal(line('tag\u202egat'), 'tag\\u{202e}gat');
  assert.equal(line('\ufeff1.4\u200b'), '\\u{feff}1.4\\u{200b}');
  assert.equal(line('one\r\ntwo\n\tthree\rfour\n'), 'one two  three\\u{d}four');
  assert.equal(line('明月 ¥ é'), '明月 ¥ é');
  assert.equal(lines('a: 1\r\n\tb: \u0000'), 'a: 1\\u{d}\n\tb: \\u{0}');
  assert.equal(firstLine('\n subject \n\nbody'), 'subject');
  for (const other of [undefined, null, {}, [], true]) assert.equal(line(other), '');
});

test('only an address of the web becomes a link', () => {
  for (const address of ['javascript:alert(1)', 'data:text/html,x', '/v1/run/2', '//evil', 'ftp://x', '', null, {}]) {
    assert.equal(webAddress(address), undefined, address);
  }
  assert.equal(webAddress('https://ci.example.com/run/2'), 'https://ci.example.com/run/2');
});

test('images are told apart as container engines do', () => {
  assert.equal(repository('localhost:5000/a/b:1@sha256:00'), 'localhost:5000/a/b');
  assert.equal(foundUnder('docker.io/library/nginx:1'), 'nginx:1');
  assert.equal(foundUnder('index.docker.io/acme/x'), 'acme/x');
  assert.equal(foundUnder(`docker.io/acme/x:1@sha256:${'0'.repeat(64)}`), 'acme/x:1');
  assert.equal(foundUnder('x:1@y'), 'x:1@y');
});

test('ages are told in the unit that says enough', () => {
  const ages = [[59, '59 seconds'], [119, '1 minute'], [47 * 3600, '47 hours'], [59 * 86400, '59 days'], [800 * 86400, '2 years']];
  for (const [seconds, told] of ages) assert.equal(age(1e9 - seconds, 1e9), `${told} ago`);
  assert.equal(age(1e9 + 7200, 1e9), 'in 2 hours');
});

test('times are read as people give them, and anything else is left to the API', () => {
  const now = new Date(2026, 10, 26, 3, 30);
  const local = (...parts) => new Date(...parts).toISOString().replace('.000', '');
  assert.equal(moment('90m', now), local(2026, 10, 26, 2, 0));
  assert.equal(moment('2d', now), local(2026, 10, 24, 3, 30));
  assert.equal(moment('yesterday', now), local(2026, 10, 25));
  assert.equal(moment('yesterday 18:00', now), local(2026, 10, 25, 18));
  assert.equal(moment('02:15', now), local(2026, 10, 26, 2, 15));
  assert.equal(moment('2026-07-01', now), local(2026, 6, 1));
  assert.equal(moment('2026-07-01 12:00', now), local(2026, 6, 1, 12));
  for (const other of ['1639467962', '2026-07-01T12:00:00+08:00', 'soon', '']) assert.equal(moment(other, now), other);
});

/** The length of the longest common subsequence, by the textbook. */
function common(from, to) {
  const best = Array.from({ length: from.length + 1 }, () => new Array(to.length + 1).fill(0));
  from.forEach((one, i) =>
    to.forEach((other, j) => {
      best[i + 1][j + 1] = one === other ? best[i][j] + 1 : Math.max(best[i][j + 1], best[i + 1][j]);
    }),
  );
  return best[from.length][to.length];
}

test('a difference leads from one text to the other, and is the shortest', () => {
  let seed = 7;
  const below = (bound) => (seed = (seed * 48271) % 2147483647) % bound;
  const some = () => Array.from({ length: below(12) }, () => 'abc'[below(3)]);
  for (let round = 0; round < 2000; round++) {
    const [from, to] = [some(), some()];
    const entries = diffLines(from, to);
    const side = (sign) => entries.filter(([is]) => is !== sign).map(([, text]) => text);
    assert.deepEqual([side('+'), side('-')], [from, to]);
    assert.equal(entries.filter(([sign]) => sign === ' ').length, common(from, to), `${from} ${to}`);
  }
});

test('two texts that have nothing in common are not compared by lines', () => {
  const some = (name) => Array.from({ length: 2000 }, (_, number) => `${name} ${number}`);
  assert.equal(diffLines(some('a'), some('b')), undefined);
});

test('of a long text only the neighbourhood of what differs is shown', () => {
  const from = Array.from({ length: 100 }, (_, number) => String(number));
  const shown = hunks(diffLines(from, [...from.slice(0, 50), 'x', ...from.slice(51)]));
  assert.equal(shown.filter((entry) => entry).length, 8);
  assert.deepEqual([shown[0], shown.at(-1)], [undefined, undefined]);
});

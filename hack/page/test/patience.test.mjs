import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../src/patience.js';

function patience(options) {
  const clock = { ms: 1_000_000 };
  const p = new Patience({ low: true, only: false, now: () => clock.ms, ...options });
  p.opened(p.useLow());
  // play goes on for some seconds from a time; it tells whether it got stuck.
  const play = (from, seconds, rate = 1, excused = false) => {
    let stuck = false;
    for (let s = 0; s <= seconds; s += 0.5) {
      clock.ms += 500;
      stuck ||= p.at(from + s * rate, excused);
    }
    return stuck;
  };
  return { p, clock, play };
}

test('a picture that moves is not stuck, one that stands still is', () => {
  const { p, play } = patience();
  assert.equal(play(0, 20), false);
  assert.equal(play(20, 8, 0), true);
  p.opened(true);
  assert.equal(play(20, 60, 0, true), false, 'a viewer may pause it');
});

test('low latency that fails three times in a row is left alone for a minute, then tried once', () => {
  const { p, clock } = patience();
  for (let i = 0; i < 3; i++) {
    assert.equal(p.useLow(), true);
    p.opened(true);
    p.failed();
  }
  assert.equal(p.useLow(), false);
  clock.ms += 61_000;
  assert.equal(p.useLow(), true);
  p.opened(true);
  p.failed();
  assert.equal(p.useLow(), false);
});

test('a jump to the live edge is not playing: what fails right after it counts', () => {
  const { p, play } = patience();
  for (let i = 0; i < 3; i++) {
    p.opened(true);
    play(0, 0);
    play(1000, 1);
    assert.equal(p.hasPlayedWell(), false);
    p.failed();
  }
  assert.equal(p.useLow(), false);
});

test('what failed long ago makes nobody wait, with plain HLS either', () => {
  const { p, play } = patience({ low: false });
  const first = p.failed();
  for (let i = 0; i < 9; i++) p.failed();
  p.opened(false);
  play(0, 6);
  assert.equal(p.failed(), first);
});

test('a camera that is not recorded has no plain HLS to fall back to', () => {
  const { p } = patience({ only: true });
  for (let i = 0; i < 9; i++) p.failed();
  assert.equal(p.useLow(), true);
});
